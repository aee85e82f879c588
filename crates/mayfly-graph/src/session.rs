//! Running a plan: one session per thread over a shared plan. `run` allocates nothing and cannot fail; dropping a session zeroises what it held.
use crate::GraphError;
use crate::ops::{Ins, RunCx};
use crate::plan::{Call, Loc, PackSpec, Plan, Precision, Space, Step};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mayfly_kernels::{self as k, Buffer, Epilogue, Isa};

/// Working memory for one plan: arena, parameters, packed weights. All of it is zeroised on drop.
pub struct Session {
    plan: Arc<Plan>,
    arena: Buffer<f32>,
    params: Buffer<f32>,
    packs: Vec<Packed>,
    step: u64,
    /// Whether the first step is a dense layer that alone reads the first input: [`Session::infer`] then hands it the caller's slice.
    direct: bool,
}

/// The arrays of one run besides the arena.
struct Arrays<'a> {
    params: &'a [f32],
    consts: &'a [f32],
    packs: &'a mut [Packed],
    isa: Isa,
    step: u64,
}

impl Session {
    /// A session for inference; dense weights are packed here, once.
    ///
    /// # Errors
    /// A parameter array of the wrong length.
    pub fn new(plan: Arc<Plan>, params: &[f32]) -> Result<Session, GraphError> {
        let mut session = Session::empty(plan);
        session.params = Buffer::zeroed(session.plan.param_len());
        session.set_params(params)?;
        Ok(session)
    }

    /// A session for [`Session::backprop`], which is handed parameters and gradients at every call.
    pub fn for_training(plan: Arc<Plan>) -> Session {
        Session::empty(plan)
    }

    fn empty(plan: Arc<Plan>) -> Session {
        let arena = Buffer::zeroed(plan.arena_len);
        let packs = plan.packs.iter().map(|p| Packed::empty(p, plan.isa)).collect();
        let direct = reads_input_directly(&plan);
        Session { plan, arena, params: Buffer::zeroed(0), packs, step: 0, direct }
    }

    /// Replaces the parameters and packs them anew.
    ///
    /// # Errors
    /// An array of the wrong length.
    pub fn set_params(&mut self, params: &[f32]) -> Result<(), GraphError> {
        check("the parameter array", self.plan.param_len(), params.len())?;
        if self.params.len() != params.len() {
            self.params = Buffer::zeroed(params.len());
        }
        self.params.copy_from_slice(params);
        for (pack, spec) in self.packs.iter_mut().zip(&self.plan.packs) {
            pack.fill(spec, self.plan.isa, params);
        }
        Ok(())
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
            Space::Params => self.params.get(port.loc.range()).unwrap_or(&[]),
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
        if self.plan.is_training() || self.params.len() != self.plan.param_len() {
            return;
        }
        let mut arrays = Arrays {
            params: &self.params,
            consts: &self.plan.consts,
            packs: &mut self.packs,
            isa: self.plan.isa,
            step: self.step,
        };
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
        if self.direct {
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
        if let Call::Packed { pack, act, rows, .. } = &step.call {
            let y = &mut self.arena[step.out.range()];
            self.packs[*pack].run(self.plan.isa, y, x, Epilogue { act: *act, residual: None }, *rows);
        }
    }

    /// Runs a training plan: outputs and, in `grads`, the gradient of every parameter. Parameters without gradient are left as they are in `grads`.
    ///
    /// # Errors
    /// Arrays of the wrong length.
    pub fn backprop(&mut self, params: &[f32], grads: &mut [f32]) -> Result<(), GraphError> {
        check("the parameter array", self.plan.param_len(), params.len())?;
        if self.plan.is_training() {
            check("the gradient array", self.plan.param_len(), grads.len())?;
        }
        let mut arrays =
            Arrays { params, consts: &self.plan.consts, packs: &mut self.packs, isa: self.plan.isa, step: self.step };
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
            Arrays { params, consts: &self.plan.consts, packs: &mut self.packs, isa: self.plan.isa, step: self.step };
        for step in &self.plan.steps {
            run_step(step, &mut self.arena, grads, &mut arrays);
            step.dies.iter().for_each(|r| self.arena[r.clone()].fill(f32::NAN));
        }
    }
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
    let Ok([y, x]) = arena.get_disjoint_mut([step.out.range(), x.range()]) else { return false };
    arrays.packs[*pack].run(arrays.isa, y, x, Epilogue { act: *act, residual: None }, *rows);
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
        Space::Params => &params[loc.range()],
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
            arrays.packs[*pack].run(isa, y, ins[0], Epilogue { act: *act, residual }, *rows);
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

/// Packed weights of one dense layer.
struct Packed {
    inputs: usize,
    outputs: usize,
    weights: Weights,
}

enum Weights {
    F32(Buffer<f32>),
    Bf16(Buffer<i32>),
    /// Weights, and room for one quantised row of inputs.
    Int8(Buffer<i32>, Buffer<i32>),
}

impl Packed {
    fn empty(spec: &PackSpec, isa: Isa) -> Packed {
        let (inputs, outputs) = (spec.inputs, spec.outputs);
        let weights = match spec.precision {
            Precision::F32 => Weights::F32(Buffer::zeroed(k::packed_len(isa, inputs, outputs))),
            Precision::Bf16 => Weights::Bf16(Buffer::zeroed(k::packed_bf16_len(isa, inputs, outputs))),
            Precision::Int8 => {
                let row = Buffer::zeroed(k::packed_i8_scratch_len(inputs));
                Weights::Int8(Buffer::zeroed(k::packed_i8_len(isa, inputs, outputs)), row)
            }
        };
        Packed { inputs, outputs, weights }
    }

    fn fill(&mut self, spec: &PackSpec, isa: Isa, params: &[f32]) {
        let (i, o) = (self.inputs, self.outputs);
        let weight = &params[spec.weight.range()];
        let bias = spec.bias.map(|b| &params[b.range()]);
        match &mut self.weights {
            Weights::F32(p) => k::pack(isa, p, weight, bias, i, o),
            Weights::Bf16(p) => k::pack_bf16(isa, p, weight, bias, i, o),
            Weights::Int8(p, _) => k::pack_i8(isa, p, weight, bias, i, o),
        }
    }

    fn run(&mut self, isa: Isa, y: &mut [f32], x: &[f32], epilogue: Epilogue<'_>, rows: usize) {
        let (i, o) = (self.inputs, self.outputs);
        match &mut self.weights {
            Weights::F32(p) => k::packed_fwd(isa, y, x, p, epilogue, rows, i, o),
            Weights::Bf16(p) => k::packed_bf16_fwd(isa, y, x, p, epilogue, rows, i, o),
            Weights::Int8(p, row) => k::packed_i8_fwd(isa, y, x, p, row, epilogue, rows, i, o),
        }
    }
}
