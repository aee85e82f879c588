//! Function bodies: what they use, and what compiling them will cost.
//!
//! A compiler's time does not follow the bytes. Cranelift carries every variable that is alive through every edge of the control
//! flow: a `br_table` of 5,000 entries (one byte each) over 200 variables is a million arguments of jumps, which is 20 s and
//! hundreds of MiB out of 6 kB. So two things are counted and bounded before anything is compiled: what is executed one after the
//! other ([`Effort::steps`]), and what is alive on each edge, summed over the edges ([`Effort::flow`]).

use super::{Survey, bad};
use crate::error::{Result, check_limit};
use crate::limits::{
    FUNCTION_EDGES, FUNCTION_FLOW, FUNCTION_STEPS, LOCALS, MODULE_FLOW, MODULE_STEPS, NESTING, PACK_FLOW, PACK_STEPS,
};
use wasmparser::{FuncToValidate, FuncType, FunctionBody, Operator, ValType, ValidatorResources};

/// What compiling costs, in units that do not depend on the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Operators, each weighed by what it becomes; a call by its parameters and results too.
    pub steps: u64,
    /// Values that are alive on an edge of the control flow, over all edges.
    pub flow: u64,
}

impl Effort {
    pub(crate) fn add(&mut self, other: Self) {
        self.steps = self.steps.saturating_add(other.steps);
        self.flow = self.flow.saturating_add(other.flow);
    }

    fn check(self, what: &str, steps: u64, flow: u64) -> Result<()> {
        check_limit(format!("{what}: operators to compile"), self.steps, steps)?;
        check_limit(format!("{what}: values alive over the edges of the control flow"), self.flow, flow)
    }

    /// # Errors
    /// [`PackError::LimitExceeded`](crate::PackError::LimitExceeded) for more than one module may cost.
    pub(super) fn check_module(self, kernel: &str) -> Result<()> {
        self.check(kernel, MODULE_STEPS, MODULE_FLOW)
    }

    /// # Errors
    /// [`PackError::LimitExceeded`](crate::PackError::LimitExceeded) for more than the kernels of one pack may cost together.
    pub(crate) fn check_pack(self) -> Result<()> {
        self.check("all kernels together", PACK_STEPS, PACK_FLOW)
    }
}

/// What a first look at a body finds.
#[derive(Clone, Copy, Default)]
pub(super) struct Facts {
    /// Locals that are written somewhere: others are constants or parameters to the compiler.
    assigned: u64,
    locals: u64,
    pub(super) uses_simd: bool,
}

/// The prefix of all vector operators.
const SIMD_PREFIX: u8 = 0xfd;
/// A function that does nothing costs as much as so many operators.
const FUNCTION: u64 = 64;

impl Facts {
    /// # Errors
    /// [`PackError::BadModule`](crate::PackError::BadModule), or `LimitExceeded` for too many locals.
    pub(super) fn of(body: &FunctionBody<'_>, bytes: &[u8], kernel: &str) -> Result<Self> {
        let mut facts = Self::default();
        for local in body.get_locals_reader().map_err(|e| bad(kernel, e))? {
            let (count, ty) = local.map_err(|e| bad(kernel, e))?;
            facts.locals += u64::from(count);
            facts.uses_simd |= ty == ValType::V128;
        }
        check_limit(format!("{kernel}: locals of a function"), facts.locals, LOCALS)?;
        let mut operators = body.get_operators_reader().map_err(|e| bad(kernel, e))?;
        let mut assigned = std::collections::BTreeSet::new();
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset().map_err(|e| bad(kernel, e))?;
            facts.uses_simd |= bytes.get(at) == Some(&SIMD_PREFIX) || has_vector_type(&operator);
            if let Operator::LocalSet { local_index } | Operator::LocalTee { local_index } = operator {
                assigned.insert(local_index);
            }
        }
        facts.assigned = assigned.len() as u64;
        Ok(facts)
    }
}

/// Block types that stand in the operator itself.
fn has_vector_type(operator: &Operator<'_>) -> bool {
    match operator {
        Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
            matches!(blockty, wasmparser::BlockType::Type(ValType::V128))
        }
        _ => false,
    }
}

/// Validates a body and counts what compiling it costs.
///
/// # Errors
/// [`PackError::BadModule`](crate::PackError::BadModule), or `LimitExceeded` as soon as the function passes a limit.
pub(super) fn validate(
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    facts: Facts,
    allocations: wasmparser::FuncValidatorAllocations,
    survey: &Survey,
    kernel: &str,
) -> Result<(Effort, wasmparser::FuncValidatorAllocations)> {
    let mut validator = function.into_validator(allocations);
    let parameters = survey.type_of_function(validator.index()).map_or(0, |ty| arity(ty).0);
    let mut reader = body.get_binary_reader();
    reader.set_features(super::allowed());
    validator.read_locals(&mut reader).map_err(|e| bad(kernel, e))?;
    // Parameters come with values; whether they are written or not, they are carried.
    let carried = facts.assigned + parameters;
    let mut effort = Effort { steps: FUNCTION + facts.locals + parameters, flow: 0 };
    let what = format!("{kernel}: function {}", validator.index());
    let mut operators = wasmparser::OperatorsReader::new(reader);
    let mut all_edges = 0u64;
    while !operators.eof() {
        let (operator, at) = operators.read_with_offset().map_err(|e| bad(kernel, e))?;
        let height = u64::from(validator.operand_stack_height());
        validator.op(at, &operator).map_err(|e| bad(kernel, e))?;
        check_limit(format!("{what}: nested blocks"), u64::from(validator.control_stack_height()), NESTING)?;
        let (steps, edges) = cost(&operator, survey);
        effort.add(Effort { steps, flow: edges.saturating_mul(carried + height + 1) });
        effort.check(&what, FUNCTION_STEPS, FUNCTION_FLOW)?;
        // Where many edges meet, the compiler's time grows with their square, however little is alive on them.
        all_edges += edges;
        check_limit(format!("{what}: edges of the control flow"), all_edges, FUNCTION_EDGES)?;
    }
    operators.finish().map_err(|e| bad(kernel, e))?;
    Ok((effort, validator.into_allocations()))
}

fn arity(ty: &FuncType) -> (u64, u64) {
    (ty.params().len() as u64, ty.results().len() as u64)
}

/// What an operator becomes, and how many edges it makes.
fn cost(operator: &Operator<'_>, survey: &Survey) -> (u64, u64) {
    let call = |ty: Option<&FuncType>| {
        let (parameters, results) = ty.map_or((0, 0), arity);
        8 + parameters + results
    };
    match operator {
        Operator::Call { function_index } => (call(survey.type_of_function(*function_index)), 1),
        // The table may be filled in late: a branch and a call beside the call itself.
        Operator::CallIndirect { type_index, .. } => (32 + call(survey.function_type(*type_index)), 4),
        Operator::BrTable { targets } => (4 + u64::from(targets.len()), u64::from(targets.len()) + 1),
        // A look at the clock at its head: a branch around a call.
        Operator::Loop { .. } => (8, 4),
        Operator::If { .. } => (2, 2),
        Operator::Br { .. }
        | Operator::BrIf { .. }
        | Operator::Block { .. }
        | Operator::Else
        | Operator::End
        | Operator::Return => (1, 1),
        Operator::MemoryGrow { .. }
        | Operator::MemoryFill { .. }
        | Operator::MemoryCopy { .. }
        | Operator::MemoryInit { .. }
        | Operator::DataDrop { .. }
        | Operator::TableInit { .. }
        | Operator::TableCopy { .. }
        | Operator::ElemDrop { .. } => (16, 2),
        _ => (1, 0),
    }
}
