//! Root mean square normalisation, f32.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::rmsnorm::run::<f32>);
