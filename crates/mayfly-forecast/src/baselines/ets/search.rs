//! The likeliest figures of a form: Gauss and Newton's steps, damped as by Levenberg and Marquardt, within bounds. A season of 24 values has 28 figures, where
//! a simplex is lost; slopes cost no more than the season's length, and a few dozen steps are enough.
use super::admissible::is_admissible;
use super::recursion::Errors;
use super::slopes::Equations;
use super::space::Space;

/// Steps at most.
const STEPS: usize = 60;
/// Steps after which the worse half of those that are still under way is given up, where a season makes steps dear.
const ROUND: usize = 2;
/// The gain in minus twice the log likelihood that is not worth another step.
const ENOUGH: f64 = 1e-3;

/// Figures, and how the series lies to them.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) row: Vec<f64>,
    pub(super) errors: Errors,
}

/// Errors of a row of figures; `None` where it is no row of this form.
pub(super) fn errors(space: &Space, row: &[f64], y: &[f64]) -> Option<Errors> {
    let weights = space.weights(row);
    let fits = is_admissible(space.form, &weights, space.m);
    if fits { space.states(row).follow(space.form, &weights, y) } else { None }
}

/// The best row that lies downhill from any of these.
pub(super) fn likeliest(space: &Space, starts: Vec<Vec<f64>>, y: &[f64]) -> Option<Found> {
    let mut descents: Vec<Descent<'_>> = starts.into_iter().filter_map(|row| Descent::new(space, row, y)).collect();
    let round = if space.form.has_season() { ROUND } else { STEPS };
    while descents.len() > 1 {
        descents.iter_mut().for_each(|descent| descent.go(round));
        descents.sort_by(|a, b| a.cost().total_cmp(&b.cost()));
        descents.truncate(descents.len().div_ceil(2));
    }
    let mut best = descents.pop()?;
    best.go(STEPS);
    Some(best.found)
}

/// A way down.
struct Descent<'a> {
    space: &'a Space,
    y: &'a [f64],
    found: Found,
    damping: f64,
    has_arrived: bool,
}

impl<'a> Descent<'a> {
    fn new(space: &'a Space, row: Vec<f64>, y: &'a [f64]) -> Option<Descent<'a>> {
        let found = Found { errors: errors(space, &row, y)?, row };
        Some(Descent { space, y, found, damping: 1e-2, has_arrived: false })
    }

    fn cost(&self) -> f64 {
        self.found.errors.cost(self.y.len())
    }

    /// So many steps at most.
    fn go(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.has_arrived {
                return;
            }
            let before = self.cost();
            let equations = Equations::at(self.space, &self.found.row, self.y);
            match equations.and_then(|equations| self.better(&equations)) {
                Some(next) => self.found = next,
                None => self.has_arrived = true,
            }
            self.has_arrived |= before - self.cost() < ENOUGH;
        }
    }

    /// A step that lowers the cost, damped as much as it takes.
    fn better(&mut self, equations: &Equations) -> Option<Found> {
        while self.damping < 1e10 {
            let mut row = self.found.row.clone();
            if let Some(step) = step_within(self.space, equations, &row, self.damping) {
                row.iter_mut().zip(step).for_each(|(v, by)| *v += by);
                self.space.clamp(&mut row);
                let errors = errors(self.space, &row, self.y);
                if let Some(errors) = errors.filter(|errors| errors.cost(self.y.len()) < self.cost()) {
                    self.damping = (self.damping * 0.2).max(1e-8);
                    return Some(Found { row, errors });
                }
            }
            self.damping *= 5.0;
        }
        None
    }
}

/// The damped step: figures that it would take over a bound stop there, and the others are asked again.
fn step_within(space: &Space, equations: &Equations, row: &[f64], damping: f64) -> Option<Vec<f64>> {
    let k = space.len();
    let outward = |i: usize| {
        let downhill = -equations.slope[i];
        row[i] <= space.low[i] && downhill < 0.0 || row[i] >= space.high[i] && downhill > 0.0
    };
    let mut stopped: Vec<Option<f64>> = (0..k).map(|i| outward(i).then_some(0.0)).collect();
    loop {
        let free: Vec<usize> = (0..k).filter(|i| stopped[*i].is_none()).collect();
        let of_stopped = |i: usize| -> f64 {
            stopped.iter().enumerate().map(|(j, by)| by.map_or(0.0, |by| equations.matrix[i * k + j] * by)).sum()
        };
        let want = free.iter().map(|i| -equations.slope[*i] - of_stopped(*i)).collect();
        let step = solve(equations, &free, want, damping)?;
        let before = free.len();
        for (i, by) in free.iter().zip(&step) {
            let to = row[*i] + by;
            if to < space.low[*i] || to > space.high[*i] {
                stopped[*i] = Some(to.max(space.low[*i]).min(space.high[*i]) - row[*i]);
            }
        }
        if stopped.iter().filter(|by| by.is_none()).count() == before {
            free.iter().zip(step).for_each(|(i, by)| stopped[*i] = Some(by));
            return Some(stopped.into_iter().flatten().collect());
        }
    }
}

/// The answer of the damped equations of these figures, by Cholesky. `None` where they have none.
fn solve(equations: &Equations, free: &[usize], mut step: Vec<f64>, damping: f64) -> Option<Vec<f64>> {
    let (k, n) = (equations.slope.len(), free.len());
    let at = |i: usize, j: usize| equations.matrix[free[i] * k + free[j]];
    let largest = (0..n).map(|i| at(i, i)).fold(0.0, f64::max);
    let mut lower = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let more = if i == j { damping * at(i, i).max(1e-14 * largest) } else { 0.0 };
            let sum: f64 = lower[i * n..][..j].iter().zip(&lower[j * n..][..j]).map(|(a, b)| a * b).sum();
            let rest = at(i, j) + more - sum;
            lower[i * n + j] = match i == j {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / lower[j * n + j],
            };
        }
        let sum: f64 = lower[i * n..][..i].iter().zip(&step).map(|(a, b)| a * b).sum();
        step[i] = (step[i] - sum) / lower[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|j| lower[j * n + i] * step[j]).sum();
        step[i] = (step[i] - sum) / lower[i * n + i];
    }
    step.iter().all(|v| v.is_finite()).then_some(step)
}
