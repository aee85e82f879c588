//! SwiGLU gate, f16.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::swiglu::run::<mayfly_core_kernels::elem::F16>);
