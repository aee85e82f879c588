//! Running a plan: one session per thread over a shared plan and shared weights. `run` allocates nothing and cannot fail; dropping a session zeroises what it held.
use crate::GraphError;
use crate::ops::{Ins, RunCx};
use crate::plan::{Call, Loc, Plan, Space, Step};
use crate::weights::{Weights, check_params, scratch_len};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mayfly_kernels::{self as k, Buffer, Epilogue, Isa, Sweep};

/// Working memory for one plan, and a share of the weights it runs. The memory is zeroised on drop, the weights when their last session goes.
pub struct Session {
    plan: Arc<Plan>,
    arena: Buffer<f32>,
    /// None in a session that is handed parameters at every call.
    weights: Option<Arc<Weights>>,
    /// Inputs quantised for layers in int8.
    quantised: Buffer<i32>,
    step: u64,
    /// The order of the panels, turned around after every run: weights beyond the cache are begun with what it still holds.
    sweep: Sweep,
    /// Whether the first step is a dense layer that alone reads the first input: [`Session::infer`] then hands it the caller's slice.
    direct: bool,
}

/// What [`Session::wipe`] overwrote, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WipedBytes {
    /// Working memory.
    pub arena: usize,
    /// Weights as inference reads them.
    pub weights: usize,
}

/// The arrays of one run besides the arena.
struct Arrays<'a> {
    params: &'a [f32],
    consts: &'a [f32],
    weights: Option<&'a Weights>,
    quantised: &'a mut [i32],
    isa: Isa,
    step: u64,
    sweep: Sweep,
}

impl Session {
    /// A session for inference with weights of its own; dense ones are packed here, once.
    ///
    /// # Errors
    /// A parameter array of the wrong length.
    pub fn new(plan: Arc<Plan>, params: &[f32]) -> Result<Session, GraphError> {
        let weights = Weights::new(&plan, params)?;
        Session::with_weights(plan, weights)
    }

    /// A session for inference that shares its weights with others, of this plan or of another plan of the same graph.
    ///
    /// # Errors
    /// Weights that were packed for another graph, precision or instruction set.
    pub fn with_weights(plan: Arc<Plan>, weights: Arc<Weights>) -> Result<Session, GraphError> {
        weights.check(&plan)?;
        let mut session = Session::empty(plan);
        session.weights = Some(weights);
        Ok(session)
    }

    /// A session for inference that has its memory and no weights yet: all of them are zero until [`Session::set_params`].
    pub fn blank(plan: Arc<Plan>) -> Session {
        let weights = Weights::blank(&plan);
        let mut session = Session::empty(plan);
        session.weights = Some(Arc::new(weights));
        session
    }

    /// Overwrites with zeros what the session holds of anybody's values: the arena with inputs and outputs, quantised inputs, and its weights, which
    /// have to be set anew. Weights that other sessions share are let go and stay as they are.
    pub fn wipe(&mut self) -> WipedBytes {
        let arena = self.arena.wipe() + self.quantised.wipe();
        let weights = match self.weights.as_mut().map(Arc::get_mut) {
            Some(Some(weights)) => weights.wipe(),
            Some(None) => {
                self.weights = None;
                0
            }
            None => 0,
        };
        self.step = 0;
        WipedBytes { arena, weights }
    }

    /// Bytes of the memory that it holds, weights included, each of its arrays rounded up to `align` bytes.
    pub fn bytes(&self, align: usize) -> usize {
        let own = [self.arena.bytes().len(), self.quantised.bytes().len()];
        let own = own.iter().map(|bytes| bytes.next_multiple_of(align)).sum::<usize>();
        own + self.weights.as_ref().map_or(0, |weights| weights.rounded_bytes(align))
    }

    /// Whether it holds no values but zeros.
    pub fn is_wiped(&self) -> bool {
        self.arena.is_wiped() && self.quantised.is_wiped() && self.weights.as_ref().is_none_or(|w| w.is_wiped())
    }

    /// A session for [`Session::backprop`], which is handed parameters and gradients at every call.
    pub fn for_training(plan: Arc<Plan>) -> Session {
        Session::empty(plan)
    }

    fn empty(plan: Arc<Plan>) -> Session {
        let arena = Buffer::zeroed(plan.arena_len);
        let quantised = Buffer::zeroed(scratch_len(&plan));
        let direct = reads_input_directly(&plan);
        Session { plan, arena, weights: None, quantised, step: 0, sweep: Sweep::Up, direct }
    }

    /// Replaces the parameters and packs them anew: in place, or beside weights that other sessions share and that stay as they are.
    ///
    /// # Errors
    /// An array of the wrong length.
    pub fn set_params(&mut self, params: &[f32]) -> Result<(), GraphError> {
        check_params(&self.plan, params)?;
        match self.weights.as_mut().and_then(Arc::get_mut) {
            Some(weights) => weights.fill(params),
            None => self.weights = Some(Weights::new(&self.plan, params)?),
        }
        Ok(())
    }

    /// The weights it runs, to be shared with further sessions; `None` in a session for training.
    pub fn weights(&self) -> Option<&Arc<Weights>> {
        self.weights.as_ref()
    }

    /// The plan it runs.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The memory of input `i`, to be written before a run; it keeps its content between runs. Empty if there is no such input.
    pub fn input_mut(&mut self, i: usize) -> &mut [f32] {
        match self.plan.inputs.get(i) {
            Some(port) => &mut self.arena[port.loc.range()],
            None => &mut [],
        }
    }

    /// The value of output `i` after a run. Empty if there is no such output or it is a gradient.
    pub fn output(&self, i: usize) -> &[f32] {
        let Some(port) = self.plan.outputs.get(i) else { return &[] };
        match port.loc.space {
            Space::Arena => &self.arena[port.loc.range()],
            Space::Params => self.weights.as_ref().and_then(|w| w.params().get(port.loc.range())).unwrap_or(&[]),
            Space::Consts => &self.plan.consts[port.loc.range()],
            Space::Grads => &[],
        }
    }

    /// Sets the counter that dropout draws its masks from.
    pub fn set_step(&mut self, step: u64) {
        self.step = step;
    }

    /// Runs an inference plan on what the inputs hold. (A training plan is run by [`Session::backprop`]; here it does nothing.)
    pub fn run(&mut self) {
        self.run_from(0);
    }

    fn run_from(&mut self, first: usize) {
        self.sweep = if self.sweep == Sweep::Up { Sweep::Down } else { Sweep::Up };
        let Some(weights) = self.weights.as_deref().filter(|_| !self.plan.is_training()) else { return };
        let mut arrays =
            arrays(&self.plan, Some(weights), weights.params(), &mut self.quantised, (self.step, self.sweep));
        for step in &self.plan.steps[first..] {
            run_step(step, &mut self.arena, &mut [], &mut arrays);
        }
    }

    /// Runs with `x` as the first input and returns the first output. What [`Session::input_mut`] gives for that input may change or not.
    ///
    /// # Errors
    /// An input of the wrong length.
    pub fn infer(&mut self, x: &[f32]) -> Result<&[f32], GraphError> {
        check("the input", self.input_mut(0).len(), x.len())?;
        if self.direct && self.weights.is_some() {
            self.first_step(x);
            self.run_from(1);
        } else {
            self.input_mut(0).copy_from_slice(x);
            self.run();
        }
        Ok(self.output(0))
    }

    /// The first step on the caller's slice instead of a copy.
    fn first_step(&mut self, x: &[f32]) {
        let step = &self.plan.steps[0];
        if let (Call::Packed { pack, act, rows, .. }, Some(weights)) = (&step.call, &self.weights) {
            let y = &mut self.arena[step.out.range()];
            let end = Epilogue { act: *act, residual: None };
            weights.pack(*pack).run(self.plan.isa, y, x, &mut self.quantised, end, self.sweep, *rows);
        }
    }

    /// Runs a training plan: outputs and, in `grads`, the gradient of every parameter. Parameters without gradient are left as they are in `grads`.
    /// (An inference plan is run with these parameters; there are no gradients.)
    ///
    /// # Errors
    /// Arrays of the wrong length.
    pub fn backprop(&mut self, params: &[f32], grads: &mut [f32]) -> Result<(), GraphError> {
        if !self.plan.is_training() {
            self.set_params(params)?;
            self.run();
            return Ok(());
        }
        check_params(&self.plan, params)?;
        check("the gradient array", self.plan.param_len(), grads.len())?;
        let mut arrays = arrays(&self.plan, None, params, &mut self.quantised, (self.step, self.sweep));
        for step in &self.plan.steps {
            run_step(step, &mut self.arena, grads, &mut arrays);
        }
        Ok(())
    }

    /// Runs as [`Session::backprop`] does, filling memory with NaN as soon as its value is dead: whatever reads it anyway shows.
    #[doc(hidden)]
    pub fn run_poisoned(&mut self, params: &[f32], grads: &mut [f32]) {
        let inputs: Vec<_> = self.plan.inputs.iter().map(|p| p.loc.range()).collect();
        for (i, v) in self.arena.iter_mut().enumerate() {
            if !inputs.iter().any(|r| r.contains(&i)) {
                *v = f32::NAN;
            }
        }
        let mut arrays =
            arrays(&self.plan, self.weights.as_deref(), params, &mut self.quantised, (self.step, self.sweep));
        for step in &self.plan.steps {
            run_step(step, &mut self.arena, grads, &mut arrays);
            step.dies.iter().for_each(|r| self.arena[r.clone()].fill(f32::NAN));
        }
    }
}

fn arrays<'a>(
    plan: &'a Plan,
    weights: Option<&'a Weights>,
    params: &'a [f32],
    quantised: &'a mut [i32],
    (step, sweep): (u64, Sweep),
) -> Arrays<'a> {
    Arrays { params, consts: &plan.consts, weights, quantised, isa: plan.isa, step, sweep }
}

fn check(what: &str, want: usize, got: usize) -> Result<(), GraphError> {
    if want == got { Ok(()) } else { Err(GraphError::Length { what: what.to_string(), want, got }) }
}

fn reads_input_directly(plan: &Plan) -> bool {
    let ([first, others @ ..], [input, ..]) = (&plan.steps[..], &plan.inputs[..]) else { return false };
    let packed = matches!(&first.call, Call::Packed { residual: false, .. })
        && first.ins.first() == Some(&input.loc)
        && first.out.space == Space::Arena;
    let mut elsewhere = others.iter().flat_map(|s| &s.ins).chain(plan.outputs.iter().map(|p| &p.loc));
    packed && !plan.training && !elsewhere.any(|loc| overlap(loc, &input.loc))
}

fn overlap(a: &Loc, b: &Loc) -> bool {
    a.space == b.space && a.at < b.at + b.len && b.at < a.at + a.len
}

/// A dense layer over packed weights between two places of the arena: what most networks run most of the time, without the general case's detours.
fn run_packed(step: &Step, arena: &mut [f32], arrays: &mut Arrays<'_>) -> bool {
    let (Call::Packed { pack, act, residual: false, rows }, [x, ..]) = (&step.call, &step.ins[..]) else {
        return false;
    };
    if step.out.space != Space::Arena || x.space != Space::Arena {
        return false;
    }
    let (Ok([y, x]), Some(weights)) = (arena.get_disjoint_mut([step.out.range(), x.range()]), arrays.weights) else {
        return false;
    };
    let end = Epilogue { act: *act, residual: None };
    weights.pack(*pack).run(arrays.isa, y, x, arrays.quantised, end, arrays.sweep, *rows);
    true
}

/// One kernel call. The output and its scratch are cut out of the arena; what is left on both sides holds the inputs.
fn run_step(step: &Step, arena: &mut [f32], grads: &mut [f32], arrays: &mut Arrays<'_>) {
    if run_packed(step, arena, arrays) {
        return;
    }
    let in_arena = step.out.space == Space::Arena;
    let start = if in_arena { step.out.at } else { step.scratch.at };
    let end = if step.scratch.len > 0 {
        step.scratch.at + step.scratch.len
    } else {
        start + if in_arena { step.out.len } else { 0 }
    };
    let (low, rest) = arena.split_at_mut(start);
    let (window, high) = rest.split_at_mut(end - start);
    let (out, scratch) = if in_arena {
        let (out, tail) = window.split_at_mut(step.out.len);
        let gap = tail.len() - step.scratch.len;
        (out, &mut tail[gap..])
    } else {
        (&mut grads[step.out.range()], window)
    };
    let mut ins: Ins<'_> = [&[]; crate::ir::MAX_INPUTS + 1];
    for (slot, loc) in ins.iter_mut().zip(&step.ins) {
        *slot = locate(loc, low, high, end, arrays.params, arrays.consts);
    }
    call(step, out, &ins, scratch, arrays);
}

fn locate<'a>(
    loc: &Loc,
    low: &'a [f32],
    high: &'a [f32],
    high_at: usize,
    params: &'a [f32],
    consts: &'a [f32],
) -> &'a [f32] {
    match loc.space {
        Space::Arena if loc.at < low.len() => &low[loc.range()],
        Space::Arena => &high[loc.at - high_at..loc.at - high_at + loc.len],
        Space::Params => params.get(loc.range()).unwrap_or(&[]), // packed weights are not read here
        Space::Consts => &consts[loc.range()],
        Space::Grads => &[], // never read: see Builder::place_gradients
    }
}

fn call(step: &Step, y: &mut [f32], ins: &Ins<'_>, scratch: &mut [f32], arrays: &mut Arrays<'_>) {
    let isa = arrays.isa;
    match &step.call {
        Call::Op(op) => {
            let cx = RunCx { isa, step: arrays.step, out: step.out_dims, ins: &step.in_dims };
            op.rule().run(&cx, y, ins, scratch);
        }
        Call::Packed { pack, act, residual, rows } => {
            let residual = residual.then(|| ins[step.ins.len() - 1]);
            if let Some(weights) = arrays.weights {
                let end = Epilogue { act: *act, residual };
                weights.pack(*pack).run(isa, y, ins[0], arrays.quantised, end, arrays.sweep, *rows);
            }
        }
        Call::Linear { act, bias, residual } => {
            let bias = bias.then_some(ins[2]);
            let residual = residual.then(|| ins[step.ins.len() - 1]);
            let (rows, i, o) = (step.out_dims.rows(), step.in_dims[0].last(), step.out_dims.last());
            k::linear_fwd(isa, y, ins[0], ins[1], bias, Epilogue { act: *act, residual }, scratch, rows, i, o);
        }
        Call::Conv2d { spec, act } => {
            let bias = (step.ins.len() > 2).then_some(ins[2]);
            k::conv2d_fwd(isa, y, ins[0], ins[1], bias, *act, scratch, spec);
        }
    }
}
