//! Activations, composed where ONNX has no operator; FANN's by their exact definitions.
use super::super::error::OnnxError;
use super::writer::Writer;
use mayfly_format::onnx::AttributeProto;
use mayfly_graph::{Act, FannAct};
use mayfly_kernels::{SELU_ALPHA, SELU_LAMBDA};

/// Inputs and outputs of the corners of FANN's stepwise sigmoid, with the limits.
const STEPS: ([f32; 6], [f32; 6], [f32; 2]) = (
    [-2.646_652_5, -1.472_219_5, -0.549_306_15, 0.549_306_15, 1.472_219_3, 2.646_653],
    [0.005, 0.05, 0.25, 0.75, 0.95, 0.995],
    [0.0, 1.0],
);
const SYMMETRIC_STEPS: ([f32; 6], [f32; 6], [f32; 2]) = (
    [-2.646_653, -1.472_219_3, -0.549_306_15, 0.549_306_15, 1.472_219_3, 2.646_653],
    [-0.99, -0.9, -0.5, 0.5, 0.9, 0.99],
    [-1.0, 1.0],
);

impl Writer<'_> {
    fn attributed(&mut self, op: &'static str, x: &str, attributes: &[(&str, f32)]) -> String {
        self.put(op, &[x], attributes.iter().map(|(n, v)| AttributeProto::float(n, *v)).collect())
    }

    /// `f(x)`
    pub fn act(&mut self, x: &str, act: Act) -> Result<String, OnnxError> {
        let plain = match act {
            Act::Identity => return Ok(x.to_owned()),
            Act::Relu => "Relu",
            Act::Softplus => "Softplus",
            Act::HardSwish => "HardSwish",
            Act::Tanh => "Tanh",
            Act::Sigmoid => "Sigmoid",
            Act::Exp => "Exp",
            Act::Log => "Log",
            Act::Sqrt => "Sqrt",
            Act::Abs => "Abs",
            Act::Neg => "Neg",
            Act::Reciprocal => "Reciprocal",
            Act::Sin => "Sin",
            Act::Cos => "Cos",
            Act::Erf => "Erf",
            other => return self.composed(x, other),
        };
        Ok(self.op1(plain, x))
    }

    fn composed(&mut self, x: &str, act: Act) -> Result<String, OnnxError> {
        Ok(match act {
            Act::LeakyRelu { slope } => self.attributed("LeakyRelu", x, &[("alpha", slope)]),
            Act::Elu { alpha } => self.attributed("Elu", x, &[("alpha", alpha)]),
            Act::Selu => self.attributed("Selu", x, &[("alpha", SELU_ALPHA), ("gamma", SELU_LAMBDA)]),
            Act::HardSigmoid => self.attributed("HardSigmoid", x, &[("alpha", 1.0 / 6.0), ("beta", 0.5)]),
            Act::Gelu => self.gelu(x),
            Act::GeluTanh => self.gelu_tanh(x),
            Act::Silu => {
                let s = self.op1("Sigmoid", x);
                self.op2("Mul", x, &s)
            }
            Act::Mish => {
                let s = self.op1("Softplus", x);
                let t = self.op1("Tanh", &s);
                self.op2("Mul", x, &t)
            }
            Act::Square => self.op2("Mul", x, x),
            Act::Trunc => {
                let whole = self.put("Cast", &[x], vec![AttributeProto::int("to", 7)]);
                self.put("Cast", &[&whole], vec![AttributeProto::int("to", 1)])
            }
            Act::Affine { mul, add } => {
                let y = self.with("Mul", x, mul);
                self.with("Add", &y, add)
            }
            Act::Clamp { lo, hi } => self.clip(x, lo, hi),
            Act::Fann(f, steepness) => self.fann(x, f, steepness),
            other => {
                return Err(OnnxError::Export {
                    op: other.name().to_owned(),
                    what: "there is no rule for this activation".to_owned(),
                });
            }
        })
    }

    fn clip(&mut self, x: &str, lo: f32, hi: f32) -> String {
        let (lo, hi) = (self.number(lo), self.number(hi));
        self.put("Clip", &[x, &lo, &hi], Vec::new())
    }

    /// `x/2 · (1 + erf(x/√2))`
    fn gelu(&mut self, x: &str) -> String {
        let y = self.with("Div", x, std::f32::consts::SQRT_2);
        let y = self.op1("Erf", &y);
        let y = self.with("Add", &y, 1.0);
        let y = self.op2("Mul", x, &y);
        self.with("Mul", &y, 0.5)
    }

    fn gelu_tanh(&mut self, x: &str) -> String {
        let y = self.op2("Mul", x, x);
        let y = self.op2("Mul", x, &y);
        let y = self.with("Mul", &y, 0.044_715);
        let y = self.op2("Add", x, &y);
        let y = self.with("Mul", &y, 0.797_884_6);
        let y = self.op1("Tanh", &y);
        let y = self.with("Add", &y, 1.0);
        let y = self.op2("Mul", x, &y);
        self.with("Mul", &y, 0.5)
    }

    /// `yes` where `x ∘ bound`, else `no`.
    fn choose(&mut self, op: &'static str, x: &str, bound: f32, yes: &str, no: &str) -> String {
        let c = self.with(op, x, bound);
        self.put("Where", &[&c, yes, no], Vec::new())
    }

    fn fann(&mut self, x: &str, f: FannAct, steepness: f32) -> String {
        let limit = 150.0 / steepness;
        let v = self.with("Mul", x, steepness);
        let v = if limit > 0.0 && limit.is_finite() {
            self.clip(&v, -limit, limit)
        } else if limit < 0.0 && limit.is_finite() {
            // The limits are swapped, and FANN compares with the lower one first: only the limits come out.
            let (low, high) = (self.number(limit), self.number(-limit));
            self.choose("Greater", &v, limit, &low, &high)
        } else {
            v
        };
        let v = v.as_str();
        let (zero, one, minus) = (self.number(0.0), self.number(1.0), self.number(-1.0));
        match f {
            FannAct::Threshold => self.choose("Less", v, 0.0, &zero, &one),
            FannAct::ThresholdSymmetric => self.choose("Less", v, 0.0, &minus, &one),
            FannAct::Sigmoid => {
                let y = self.with("Mul", v, 2.0);
                self.op1("Sigmoid", &y)
            }
            FannAct::SigmoidStepwise => self.stepwise(v, &STEPS),
            FannAct::SigmoidSymmetric => self.op1("Tanh", v),
            FannAct::SigmoidSymmetricStepwise => self.stepwise(v, &SYMMETRIC_STEPS),
            FannAct::GaussianStepwise => self.with("Mul", v, 0.0),
            FannAct::LinearPiece => self.clip(v, 0.0, 1.0),
            FannAct::LinearPieceSymmetric => self.clip(v, -1.0, 1.0),
            FannAct::LinearPieceRect => self.op1("Relu", v),
            FannAct::LinearPieceRectLeaky => self.attributed("LeakyRelu", v, &[("alpha", 0.01)]),
            _ => self.fann_curve(v, f),
        }
    }

    fn fann_curve(&mut self, v: &str, f: FannAct) -> String {
        let bell = |w: &mut Self| {
            let y = w.op2("Mul", v, v);
            let y = w.op1("Neg", &y);
            w.op1("Exp", &y)
        };
        let elliot = |w: &mut Self, x: &str| {
            let y = w.op1("Abs", v);
            let y = w.with("Add", &y, 1.0);
            w.op2("Div", x, &y)
        };
        let half = |w: &mut Self, y: &str| {
            let y = w.with("Mul", y, 0.5);
            w.with("Add", &y, 0.5)
        };
        match f {
            FannAct::Gaussian => bell(self),
            FannAct::GaussianSymmetric => {
                let y = bell(self);
                let y = self.with("Mul", &y, 2.0);
                self.with("Sub", &y, 1.0)
            }
            FannAct::Elliot => {
                let x = self.with("Mul", v, 0.5);
                let y = elliot(self, &x);
                self.with("Add", &y, 0.5)
            }
            FannAct::ElliotSymmetric => elliot(self, v),
            FannAct::SinSymmetric => self.op1("Sin", v),
            FannAct::CosSymmetric => self.op1("Cos", v),
            FannAct::Sin => {
                let y = self.op1("Sin", v);
                half(self, &y)
            }
            FannAct::Cos => {
                let y = self.op1("Cos", v);
                half(self, &y)
            }
            _ => v.to_owned(),
        }
    }

    /// Lines between corners, a limit on either side.
    fn stepwise(&mut self, v: &str, (inputs, outputs, limits): &([f32; 6], [f32; 6], [f32; 2])) -> String {
        let mut y = self.number(limits[0]);
        for i in 0..5 {
            let rise = f64::from(outputs[i + 1]) - f64::from(outputs[i]);
            let slope = (rise / (f64::from(inputs[i + 1]) - f64::from(inputs[i]))) as f32;
            let line = self.with("Sub", v, inputs[i]);
            let line = self.with("Mul", &line, slope);
            let line = self.with("Add", &line, outputs[i]);
            y = self.choose("GreaterOrEqual", v, inputs[i], &line, &y);
        }
        let top = self.number(limits[1]);
        self.choose("GreaterOrEqual", v, inputs[5], &top, &y)
    }
}
