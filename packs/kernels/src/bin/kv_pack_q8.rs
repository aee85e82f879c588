//! Keys and values to 8 bits.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::kv::run_pack::<8>);
