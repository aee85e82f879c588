//! Low-rank adaptation, f16.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::lora::run::<mayfly_core_kernels::elem::F16>);
