//! Rotary position embedding, f16.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::rope::run::<mayfly_core_kernels::elem::F16>);
