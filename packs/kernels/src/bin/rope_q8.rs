//! Rotary position embedding, 8-bit blocks.
#![no_std]
#![no_main]

mayfly_core_kernels::kernel!(mayfly_core_kernels::rope::run_q8);
