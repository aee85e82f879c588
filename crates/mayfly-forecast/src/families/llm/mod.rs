//! A language model of GPT-2's shape that is read and not learnt: its folder, its tokeniser, its blocks, and what it is told of a window.
mod blocks;
mod bpe;
mod folder;
mod pieces;
mod prompt;

pub use blocks::{Gpt2, GptAct};
pub use bpe::Tokenizer;
pub use prompt::Prompter;

pub(super) use folder::{Folder, enclosed, from_enclosed};
