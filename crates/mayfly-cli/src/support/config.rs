//! Options from a file beneath those of the command line.
use anyhow::{Result, bail};
use clap::{Args, Command};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// What was `given` on the command line, and for all else what a TOML file says, whose options are called as on the command line, with underscores.
///
/// What excludes each other on the command line does so here: an option that was given leaves no room for those of the file that conflict with it.
///
/// # Errors
/// A text that is no TOML, an option that there is not, and a value that does not fit.
pub fn over_file<T: Args + Serialize + DeserializeOwned + Default>(given: &T, file: &str) -> Result<T> {
    refuse_unknown::<T>(&toml::from_str(file)?)?;
    // By itself first: its errors have line and column.
    let mut all = said(&toml::from_str::<T>(file)?)?;
    let given = said(given)?;
    let command = T::augment_args(Command::new("options"));
    for option in command.get_arguments().filter(|option| given.contains_key(option.get_id().as_str())) {
        for other in command.get_arg_conflicts_with(option) {
            all.remove(other.get_id().as_str());
        }
    }
    all.extend(given);
    Ok(all.try_into()?)
}

/// The options that say something: a switch that is off, an empty list and nothing at all do not.
fn said<T: Serialize>(options: &T) -> Result<Table> {
    let mut table = Table::try_from(options)?;
    table.retain(|_, value| match value {
        Value::Boolean(is_on) => *is_on,
        Value::Array(values) => !values.is_empty(),
        _ => true,
    });
    Ok(table)
}

/// An option that there is not is refused by its name.
fn refuse_unknown<T: Serialize + Default>(file: &Table) -> Result<()> {
    let known = serde_json::to_value(T::default())?;
    match file.keys().find(|key| known.get(key).is_none()) {
        Some(key) => bail!("there is no option {key:?}; options are called as on the command line, with underscores"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde::Deserialize;

    #[derive(Parser, Serialize, Deserialize, Default, PartialEq, Debug)]
    #[serde(default)]
    struct Options {
        #[arg(long)]
        rate: Option<f64>,
        #[arg(long)]
        seed: Option<u64>,
        #[arg(long, value_delimiter = ',')]
        names: Vec<String>,
        #[arg(long, value_delimiter = ',')]
        sizes: Option<Vec<usize>>,
        #[arg(long, conflicts_with = "quiet")]
        loud: bool,
        #[arg(long, conflicts_with = "loud")]
        quiet: bool,
        #[command(flatten)]
        #[serde(flatten)]
        more: More,
    }

    #[derive(Args, Serialize, Deserialize, Default, PartialEq, Debug)]
    #[serde(default)]
    struct More {
        #[arg(long)]
        place: Option<String>,
    }

    fn over(line: &[&str], file: &str) -> Result<Options> {
        over_file(&Options::parse_from([&["it"], line].concat()), file)
    }

    const FILE: &str = "rate = 0.5\nseed = 3\nnames = [\"a\"]\nsizes = [4]\nloud = true\nplace = \"here\"\n";

    #[test]
    fn what_is_given_wins_and_the_file_has_the_rest() {
        let from_file = over(&[], FILE).unwrap();
        assert_eq!((from_file.rate, from_file.seed, from_file.loud), (Some(0.5), Some(3), true));
        assert_eq!((from_file.names.as_slice(), from_file.sizes), (["a".to_owned()].as_slice(), Some(vec![4])));
        assert_eq!(from_file.more.place.as_deref(), Some("here"));
        let all = ["--rate", "2", "--seed", "0", "--names", "b,c", "--sizes", "0", "--place", "there", "--loud"];
        assert_eq!(over(&all, FILE).unwrap(), Options::parse_from([&["it"][..], &all].concat()));
        let some = over(&["--seed", "9"], FILE).unwrap();
        assert_eq!((some.seed, some.rate), (Some(9), Some(0.5)));
    }

    #[test]
    fn what_is_given_drives_out_its_opposite() {
        let quiet = over(&["--quiet"], FILE).unwrap();
        assert!(quiet.quiet && !quiet.loud);
        assert!(over(&["--loud"], "quiet = true\n").unwrap().loud);
    }

    #[test]
    fn numbers_that_are_none_are_not_taken_for_silence() {
        assert!(over(&["--rate", "nan"], FILE).unwrap().rate.unwrap().is_nan());
        assert!(over(&[], "rate = inf\n").unwrap().rate.unwrap().is_infinite());
    }

    #[test]
    fn the_wrong_word_and_the_wrong_value_are_named() {
        let said = |file: &str| format!("{:#}", over(&[], file).unwrap_err());
        assert!(said("sead = 3\n").contains("there is no option \"sead\""), "{}", said("sead = 3\n"));
        let wrong = said("rate = 1.0\nseed = \"three\"\n");
        assert!(wrong.contains("line 2") && wrong.contains("three"), "{wrong}");
    }
}
