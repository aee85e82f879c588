//! Keys and values from 4 bits.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::kv::run_unpack::<4>);
