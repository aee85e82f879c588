//! Root mean square normalisation, f16.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::rmsnorm::run::<mayfly_core_kernels::elem::F16>);
