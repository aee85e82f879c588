//! Embedding, strided copies and transposition.
mod support;
use mayfly_kernels as k;
use mayfly_kernels::reference;
use support::{Numbers, Shifted, assert_close, assert_same_bits, isas};

#[test]
fn embed_at_every_width() {
    let mut numbers = Numbers::new(1);
    let ids = [0.0, 6.0, 3.0, 3.0, 1.0, 6.0, 99.0, -4.0, f32::NAN];
    for d in 0..=257 {
        let table = Shifted::new(&numbers.vec(7 * d, -1.0, 1.0), d % 16);
        let dy = Shifted::new(&numbers.vec(ids.len() * d, -1.0, 1.0), (d + 5) % 16);
        let (mut want, mut want_d) = (vec![0.0; ids.len() * d], vec![0.5; 7 * d]);
        if d > 0 {
            reference::embed_fwd(&mut want, &ids, table.get(), d);
            let rows = [0, 6, 3, 3, 1, 6, 6, 0, 0];
            for (row, dy) in rows.into_iter().zip(dy.get().chunks(d)) {
                want_d[row * d..][..d].iter_mut().zip(dy).for_each(|(w, dy)| *w += dy);
            }
        }
        for isa in isas() {
            let mut y = Shifted::output(ids.len() * d, (d + 1) % 16);
            k::embed_fwd(isa, y.get_mut(), &ids, table.get(), d);
            assert_same_bits("embed", y.get(), &want);
            y.check_guards();
            let mut dtable = Shifted::new(&vec![0.5; 7 * d], (d + 2) % 16);
            k::embed_bwd_acc(isa, dtable.get_mut(), dy.get(), &ids, d);
            assert_close(&format!("dembed of {d} on {isa:?}"), dtable.get(), &want_d, 1e-6, 0.0);
            dtable.check_guards();
        }
    }
}

#[test]
fn check_ids_finds_the_wrong_one() {
    assert_eq!(k::check_ids(&[0.0, 4.0, 2.0], 5), Ok(()));
    for wrong in [5.0, -1.0, 0.5, f32::NAN, f32::INFINITY, -0.5] {
        assert_eq!(k::check_ids(&[0.0, 4.0, wrong, 9.0], 5), Err(2), "{wrong}");
    }
    assert_eq!(k::check_ids(&[0.0], 0), Err(0));
    assert_eq!(k::check_ids(&[], 0), Ok(()));
}

#[test]
fn copy_rows_in_random_shapes() {
    let mut numbers = Numbers::new(2);
    for _ in 0..2000 {
        let (rows, n) = (numbers.below(9), numbers.below(40));
        // Strides of 0 (one row repeated), of the width, and beyond it.
        let x_stride = if numbers.below(4) == 0 { 0 } else { n + numbers.below(5) };
        let (y_stride, x_at, y_at) = (n + numbers.below(5), numbers.below(4), numbers.below(4));
        let x = numbers.vec(x_at + x_stride * rows + n, -1.0, 1.0);
        let old = numbers.vec(y_at + y_stride * rows + n, -1.0, 1.0);
        let mut want = old.clone();
        reference::copy_rows(&mut want, &x, [y_stride, y_at, x_stride, x_at], rows, n);
        let mut y = Shifted::new(&old, numbers.below(16));
        k::copy_rows(y.get_mut(), y_stride, y_at, &x, x_stride, x_at, rows, n);
        assert_same_bits("copy_rows", y.get(), &want);
        y.check_guards();
    }
}

fn permutations() -> Vec<[usize; 4]> {
    let all = (0..256).map(|i| [i >> 6 & 3, i >> 4 & 3, i >> 2 & 3, i & 3]);
    all.filter(|p| (0..4).all(|d| p.contains(&d))).collect()
}

#[test]
fn transpose_in_every_order() {
    let mut numbers = Numbers::new(3);
    assert_eq!(permutations().len(), 24);
    let mut shapes =
        vec![[1, 1, 70, 33], [2, 3, 4, 5], [1, 1, 1, 1], [3, 1, 1, 7], [5, 16, 1, 17], [2, 0, 3, 4], [1, 257, 1, 2]];
    shapes.extend((0..30).map(|_| [(); 4].map(|()| 1 + numbers.below(9))));
    for (dims, perm) in shapes.iter().flat_map(|dims| permutations().into_iter().map(move |p| (*dims, p))) {
        let x = numbers.vec(dims.iter().product(), -1.0, 1.0);
        let mut want = vec![0.0; x.len()];
        reference::transpose(&mut want, &x, dims, perm);
        let mut y = Shifted::output(x.len(), numbers.below(16));
        k::transpose(k::Isa::detect(), y.get_mut(), &x, dims, perm);
        assert_same_bits(&format!("{dims:?} by {perm:?}"), y.get(), &want);
        y.check_guards();
    }
}
