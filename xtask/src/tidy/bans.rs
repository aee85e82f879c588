//! Calls that library code must not make: it neither panics nor prints.
//!
//! Tokens are walked, not syntax, so that calls inside macros are seen too. An exception states its reason in
//! one of two forms: a comment on the line or the line above, `// tidy: unwrap, because …`, or what clippy asks for
//! anyway, `#[expect(clippy::unwrap_used, reason = "…")]` on something around it.

use super::Finding;
use super::source::{Kind, Source, lines_of};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::ops::RangeInclusive;
use syn::visit::{self, Visit};

/// A banned call by name, the clippy lint of the same meaning, and how it is written.
struct Ban {
    name: &'static str,
    lint: &'static str,
    form: Form,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Method,
    Macro,
    /// Programs may print; libraries may not.
    Print,
}

const BANS: &[Ban] = &[
    Ban { name: "unwrap", lint: "unwrap_used", form: Form::Method },
    Ban { name: "expect", lint: "expect_used", form: Form::Method },
    Ban { name: "panic", lint: "panic", form: Form::Macro },
    Ban { name: "todo", lint: "todo", form: Form::Macro },
    Ban { name: "unimplemented", lint: "unimplemented", form: Form::Macro },
    Ban { name: "dbg", lint: "dbg_macro", form: Form::Macro },
    Ban { name: "println", lint: "print_stdout", form: Form::Print },
    Ban { name: "print", lint: "print_stdout", form: Form::Print },
    Ban { name: "eprintln", lint: "print_stderr", form: Form::Print },
    Ban { name: "eprint", lint: "print_stderr", form: Form::Print },
];

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    if source.kind == Kind::Test {
        return Vec::new();
    }
    let mut calls = Vec::new();
    walk(source.tokens.clone(), &mut calls);
    let reasons = attribute_reasons(&source.syntax);
    let stated = |ban: &Ban, line: usize| {
        has_comment(source, ban, line) || reasons.iter().any(|(lint, lines)| lint == ban.lint && lines.contains(&line))
    };
    let ours = calls.into_iter().filter(|(ban, line)| {
        let applies = ban.form != Form::Print || source.kind == Kind::Library;
        applies && !source.is_test(*line) && !stated(ban, *line)
    });
    ours.map(|(ban, line)| source.finding(line, message(ban))).collect()
}

fn message(ban: &Ban) -> String {
    let shown = if ban.form == Form::Method { format!(".{}()", ban.name) } else { format!("{}!", ban.name) };
    format!(
        "{shown} in code that users meet: return an error, or state why it is right: `// tidy: {}, because …`",
        ban.name
    )
}

/// A banned call's row and the line of its name.
type Call = (&'static Ban, usize);

fn walk(tokens: TokenStream, calls: &mut Vec<Call>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => walk(group.stream(), calls),
            TokenTree::Ident(name) => {
                let ban = BANS.iter().find(|ban| name == ban.name && is_call(ban.form, &tokens, at));
                calls.extend(ban.map(|ban| (ban, name.span().start().line)));
            }
            _ => {}
        }
    }
}

fn is_call(form: Form, tokens: &[TokenTree], at: usize) -> bool {
    let punct =
        |i: Option<usize>, c| matches!(i.and_then(|i| tokens.get(i)), Some(TokenTree::Punct(p)) if p.as_char() == c);
    match form {
        Form::Method => {
            let called = matches!(tokens.get(at + 1), Some(TokenTree::Group(g)) if takes_a_message_or_nothing(g));
            // `self.expect(…)` is a method of the type being written: Option and Result have no methods of ours.
            let own = matches!(at.checked_sub(2).and_then(|i| tokens.get(i)), Some(TokenTree::Ident(i)) if i == "self");
            called && punct(at.checked_sub(1), '.') && !own
        }
        Form::Macro | Form::Print => punct(Some(at + 1), '!') && !punct(Some(at + 2), '='),
    }
}

/// Are these the arguments of `unwrap()` or `expect("…")`, and not, say, of a parser's `expect(b':', "a colon")`?
fn takes_a_message_or_nothing(arguments: &Group) -> bool {
    let tokens: Vec<TokenTree> = arguments.stream().into_iter().collect();
    let comma = tokens.iter().position(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ','));
    let byte = matches!(tokens.first(), Some(TokenTree::Literal(l)) if l.to_string().starts_with(['b', '\'']));
    arguments.delimiter() == Delimiter::Parenthesis && comma.is_none_or(|at| at + 1 == tokens.len()) && !byte
}

fn has_comment(source: &Source, ban: &Ban, line: usize) -> bool {
    let form = format!("// tidy: {}, because ", ban.name);
    let stated = |n| source.line(n).split_once(&form).is_some_and(|(_, why)| why.trim().len() > 3);
    stated(line) || stated(line - 1)
}

/// The lints that an attribute allows with a reason, and over which lines.
fn attribute_reasons(syntax: &syn::File) -> Vec<(String, RangeInclusive<usize>)> {
    #[derive(Default)]
    struct Reasons(Vec<(String, RangeInclusive<usize>)>);
    impl Reasons {
        fn add(&mut self, attrs: &[syn::Attribute], lines: RangeInclusive<usize>) {
            let allowing = attrs.iter().filter(|a| a.path().is_ident("allow") || a.path().is_ident("expect"));
            for list in allowing.filter_map(|attr| attr.meta.require_list().ok()) {
                let lints = lints_with_reason(list.tokens.clone());
                self.0.extend(lints.into_iter().map(|lint| (lint, lines.clone())));
            }
        }
    }
    impl<'ast> Visit<'ast> for Reasons {
        fn visit_file(&mut self, file: &'ast syn::File) {
            self.add(&file.attrs, 1..=usize::MAX);
            visit::visit_file(self, file);
        }
        fn visit_item(&mut self, item: &'ast syn::Item) {
            self.add(item_attrs(item), lines_of(item));
            visit::visit_item(self, item);
        }
        fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
            self.add(&f.attrs, lines_of(f));
            visit::visit_impl_item_fn(self, f);
        }
        fn visit_local(&mut self, local: &'ast syn::Local) {
            self.add(&local.attrs, lines_of(local));
            visit::visit_local(self, local);
        }
        fn visit_expr(&mut self, expr: &'ast syn::Expr) {
            self.add(expr_attrs(expr), lines_of(expr));
            visit::visit_expr(self, expr);
        }
        fn visit_stmt_macro(&mut self, statement: &'ast syn::StmtMacro) {
            self.add(&statement.attrs, lines_of(statement));
        }
    }
    let mut reasons = Reasons::default();
    reasons.visit_file(syntax);
    reasons.0
}

/// The clippy lints named in the attribute, if it gives a reason.
fn lints_with_reason(tokens: TokenStream) -> Vec<String> {
    let text = tokens.to_string().replace(' ', "");
    let Some((lints, reason)) = text.split_once("reason=\"") else { return Vec::new() };
    if reason.len() < 5 {
        return Vec::new();
    }
    lints.split(',').filter_map(|lint| lint.strip_prefix("clippy::")).map(String::from).collect()
}

fn item_attrs(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Mod(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Const(i) => &i.attrs,
        syn::Item::Static(i) => &i.attrs,
        syn::Item::Macro(i) => &i.attrs,
        _ => &[],
    }
}

fn expr_attrs(expr: &syn::Expr) -> &[syn::Attribute] {
    match expr {
        syn::Expr::Block(e) => &e.attrs,
        syn::Expr::MethodCall(e) => &e.attrs,
        syn::Expr::Call(e) => &e.attrs,
        syn::Expr::Macro(e) => &e.attrs,
        syn::Expr::Match(e) => &e.attrs,
        syn::Expr::If(e) => &e.attrs,
        syn::Expr::Return(e) => &e.attrs,
        syn::Expr::Assign(e) => &e.attrs,
        syn::Expr::ForLoop(e) => &e.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(kind: Kind, text: &str) -> Vec<usize> {
        let source = Source::parse("crates/x/src/a.rs", "mayfly-x", kind, text).unwrap();
        check(&source).into_iter().map(|f| f.line).collect()
    }

    #[test]
    fn each_banned_call_is_found() {
        for call in [
            "x.unwrap()",
            "x.expect(\"y\")",
            "x.expect(&format!(\"{}, {}\", y, z),)",
            "panic!(\"y\")",
            "todo!()",
            "unimplemented!()",
            "dbg!(x)",
            "println!()",
            "eprintln!()",
            "print!(\"\")",
            "eprint!(\"\")",
        ] {
            assert_eq!(lines(Kind::Library, &format!("fn f() {{\n{call};\n}}")), [2], "{call}");
        }
    }

    #[test]
    fn lookalikes_pass() {
        let text = "/// x.unwrap()\nfn f() { x.unwrap_or(0); self.expect(b'x'); p.expect(b'x'); p.expect(x, \"y\"); let s = \"panic!()\"; a.print(); panic != 1; }";
        assert!(lines(Kind::Library, text).is_empty());
    }

    #[test]
    fn calls_inside_macros_are_found() {
        assert_eq!(lines(Kind::Library, "fn f() {\n  assert!(x.iter()\n .next().unwrap() == 1);\n}"), [3]);
        assert_eq!(lines(Kind::Library, "macro_rules! m {\n () => { panic!(\"x\") };\n}"), [2]);
    }

    #[test]
    fn tests_are_free() {
        assert!(lines(Kind::Library, "#[cfg(test)]\nmod tests {\n fn f() { x.unwrap(); println!(); }\n}").is_empty());
        assert!(lines(Kind::Test, "fn f() { x.unwrap(); }").is_empty());
    }

    #[test]
    fn programs_print_but_do_not_panic() {
        assert_eq!(lines(Kind::Program, "fn f() {\nprintln!();\nx.unwrap();\n}"), [3]);
    }

    #[test]
    fn a_stated_reason_lets_through_only_what_it_names() {
        let above = |comment: &str| format!("fn f() {{\n{comment}\nx.unwrap();\n}}");
        assert!(lines(Kind::Library, &above("// tidy: unwrap, because the length was checked above")).is_empty());
        assert_eq!(lines(Kind::Library, &above("// tidy: expect, because the length was checked above")), [3]);
        assert_eq!(lines(Kind::Library, &above("// tidy: unwrap, because")), [3]);
        assert_eq!(lines(Kind::Library, &above("// it is fine")), [3]);
        assert!(lines(Kind::Library, "fn f() { x.unwrap(); // tidy: unwrap, because it is a constant\n}").is_empty());
    }

    #[test]
    fn an_attribute_with_a_reason_counts_over_what_it_covers() {
        let text = |attr: &str| format!("{attr}\nfn f() {{\n x.unwrap();\n}}\nfn g() {{\n x.unwrap();\n}}");
        let with = "#[expect(clippy::unwrap_used, reason = \"checked above\")]";
        assert_eq!(lines(Kind::Library, &text(with)), [6]);
        assert_eq!(lines(Kind::Library, &text("#[expect(clippy::unwrap_used)]")), [3, 6]);
        assert_eq!(lines(Kind::Library, &text("#[expect(clippy::unwrap_used, reason = \"\")]")), [3, 6]);
        assert_eq!(lines(Kind::Library, &text("#[expect(clippy::panic, reason = \"checked above\")]")), [3, 6]);
        let local = format!("fn f() {{\n{with}\nlet a = x.unwrap();\nlet b = y.unwrap();\n}}");
        assert_eq!(lines(Kind::Library, &local), [4]);
        assert!(lines(Kind::Library, "#![allow(clippy::panic, reason = \"always\")]\nfn f() { panic!() }").is_empty());
    }
}
