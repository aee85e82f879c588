//! Things that users of this and of other programs reported, each as a test that runs the binary on the files of the report.
//!
//! A module holds one area; `inputs/` holds the files, under names that say what is odd about them.
mod answers;
mod case;
mod data;
mod explain;
mod forecast;
mod forecast_options;
mod library;
mod models;
mod output;
