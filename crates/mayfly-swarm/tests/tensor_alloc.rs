//! Merging weights takes no memory. In a process of its own: other tests allocate as they like.

use cap::Cap;
use mayfly_base::Rng;
use mayfly_swarm::crdt::{LwwTensor, TensorClock};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

#[test]
fn merging_allocates_nothing() {
    let mut rng = Rng::new(1);
    let fill = |rng: &mut Rng, block: usize| {
        let mut tensor = LwwTensor::new(1_000 * block, block).unwrap();
        for i in 0..1_000 {
            let clock = TensorClock { time: rng.below(3) + i / 100, node: rng.below(2) };
            tensor.write(i as usize * block, &vec![rng.below(3) as f32; block], clock).unwrap();
        }
        tensor
    };
    for block in [1, 7] {
        let (mut ours, theirs) = (fill(&mut rng, block), fill(&mut rng, block));
        let before = ALLOCATOR.total_allocated();
        let is_new = ours.try_merge(&theirs);
        assert_eq!(ALLOCATOR.total_allocated(), before);
        assert!(is_new.unwrap());
    }
}
