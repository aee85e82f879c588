//! Keys and values to 4 bits.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::kv::run_pack::<4>);
