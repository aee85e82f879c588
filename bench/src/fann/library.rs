//! Binding to FANN's C library (float build), loaded at run time so that the bench builds without it.
//!
//! Signatures follow `floatfann.h` of FANN 2.2.0, where `fann_type` is `float`.

use anyhow::{Context, Result};
use libloading::Library;
use std::ffi::{c_char, c_float, c_int, c_uint, c_void};

const NAMES: &[&str] = &["libfloatfann.so.2", "libfloatfann.so"];

pub const LINEAR: c_int = 0;
pub const SIGMOID: c_int = 3;
pub const SIGMOID_SYMMETRIC: c_int = 5;
pub const ERROR_LINEAR: c_int = 0;
pub const TRAIN_INCREMENTAL: c_int = 0;
pub const TRAIN_RPROP: c_int = 2;

/// `struct fann` and `struct fann_train_data`, opaque here.
pub type Ann = *mut c_void;
pub type Data = *mut c_void;

type SetInt = unsafe extern "C" fn(Ann, c_int);
type SetFloat = unsafe extern "C" fn(Ann, c_float);

/// The functions that are used, resolved once.
pub struct Api {
    pub create: unsafe extern "C" fn(c_uint, *const c_uint) -> Ann,
    pub load: unsafe extern "C" fn(*const c_char) -> Ann,
    pub save: unsafe extern "C" fn(Ann, *const c_char) -> c_int,
    pub destroy: unsafe extern "C" fn(Ann),
    pub run: unsafe extern "C" fn(Ann, *const c_float) -> *const c_float,
    pub train: unsafe extern "C" fn(Ann, *const c_float, *const c_float),
    pub train_epoch: unsafe extern "C" fn(Ann, Data) -> c_float,
    pub read_data: unsafe extern "C" fn(*const c_char) -> Data,
    pub destroy_data: unsafe extern "C" fn(Data),
    pub set_hidden_activation: SetInt,
    pub set_output_activation: SetInt,
    pub set_error_function: SetInt,
    pub set_algorithm: SetInt,
    pub set_hidden_steepness: SetFloat,
    pub set_output_steepness: SetFloat,
    pub set_learning_rate: SetFloat,
    /// Keeps the code mapped while its functions are called.
    _library: Library,
}

impl Api {
    pub fn load() -> Result<Self> {
        let library = open()?;
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the field's type is the C function's, by FANN's header.
                *unsafe { library.get(concat!($name, "\0")) }.context(concat!("FANN lacks ", $name))?
            };
        }
        Ok(Self {
            create: symbol!("fann_create_standard_array"),
            load: symbol!("fann_create_from_file"),
            save: symbol!("fann_save"),
            destroy: symbol!("fann_destroy"),
            run: symbol!("fann_run"),
            train: symbol!("fann_train"),
            train_epoch: symbol!("fann_train_epoch"),
            read_data: symbol!("fann_read_train_from_file"),
            destroy_data: symbol!("fann_destroy_train"),
            set_hidden_activation: symbol!("fann_set_activation_function_hidden"),
            set_output_activation: symbol!("fann_set_activation_function_output"),
            set_error_function: symbol!("fann_set_train_error_function"),
            set_algorithm: symbol!("fann_set_training_algorithm"),
            set_hidden_steepness: symbol!("fann_set_activation_steepness_hidden"),
            set_output_steepness: symbol!("fann_set_activation_steepness_output"),
            set_learning_rate: symbol!("fann_set_learning_rate"),
            _library: library,
        })
    }
}

fn open() -> Result<Library> {
    // SAFETY: FANN's library has no initialisers that ask for anything.
    let mut tries = NAMES.iter().filter_map(|name| unsafe { Library::new(*name) }.ok());
    tries.next().with_context(|| {
        format!(
            "FANN is not installed (looked for {}): `apt-get install libfann-dev`, or leave it out with `--only`",
            NAMES.join(", ")
        )
    })
}
