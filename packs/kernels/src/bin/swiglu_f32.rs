//! SwiGLU gate, f32.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::swiglu::run::<f32>);
