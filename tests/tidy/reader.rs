//! Reads Rust just well enough to tell which paths a file names.
//!
//! Comments, strings and code under `#[cfg(test)]` are set aside; `use` trees and paths in code are
//! resolved through `crate`, `self`, `super`, child modules, imports and what `lib.rs` re-exports. No
//! macro is expanded and no type inferred, and what comes through a glob is not seen: hence the rule
//! that only tests use globs.

use std::collections::{HashMap, HashSet};

/// A part of a file that can matter to a rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A name or keyword.
    Word(String),
    /// What stands in a string literal.
    Text(String),
    /// `::`
    Colons,
    /// Any other mark.
    Mark(char),
}

/// A token, and the line it begins in.
pub(crate) type Placed = (Token, usize);

/// A path that is named, from its root: `crate` or a foreign crate. A glob ends in `*`.
#[derive(Debug, PartialEq)]
pub(crate) struct Path {
    /// Its segments.
    pub(crate) segments: Vec<String>,
    /// Where it stands.
    pub(crate) line: usize,
}

impl Path {
    /// The module of ours at the top level that it leads into; none where it is foreign.
    pub(crate) fn ring(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [root, ring, ..] if root == "crate" => Some(ring),
            _ => None,
        }
    }

    /// As it is written in Rust.
    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// A file of `src`.
pub(crate) struct File {
    /// From the root of the repository, as `src/core/pc.rs`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
    /// Its tokens, those of tests left out.
    pub(crate) tokens: Vec<Placed>,
    /// What it names, tests left out.
    pub(crate) names: Vec<Path>,
}

impl File {
    /// The first part of its path below `src`: `core`, `hub`, `main`.
    pub(crate) fn ring(&self) -> &str {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').next().unwrap_or(path)
    }
}

/// Reads all files of a crate, given as paths and texts.
pub(crate) fn read(files: &[(String, String)]) -> Vec<File> {
    let mut tests = HashSet::new();
    let mut scopes = HashMap::new();
    let mut parsed = Vec::new();
    for (path, text) in files {
        let module = module_of(path);
        let (tokens, set_aside) = without_tests(&tokens(text));
        tests.extend(set_aside.into_iter().map(|name| [module.clone(), vec![name]].concat()));
        // The program is a crate of its own, beside the library's root.
        let root = if path == "src/main.rs" { "main" } else { "crate" };
        let found = scan(&tokens, [vec![root.to_owned()], module.clone()].concat(), &mut scopes);
        parsed.push((path, text, module, tokens, found));
    }
    let of_tests = |module: &[String]| (1..=module.len()).any(|n| tests.contains(&module[..n]));
    let file = |(path, text, module, tokens, found): (&String, &String, Vec<String>, Vec<Placed>, Vec<_>)| {
        let (path, text) = (path.clone(), text.clone());
        if of_tests(&module) {
            return File { path, text, tokens: Vec::new(), names: Vec::new() };
        }
        let resolved = |(module, written, line): (Vec<String>, Vec<String>, usize)| {
            let segments = re_exported(resolve(&written, &module, &scopes, 0), &scopes);
            Path { segments, line }
        };
        File { path, text, tokens, names: found.into_iter().map(resolved).collect() }
    };
    parsed.into_iter().map(file).collect()
}

/// What is known of a module: its children, and its imports by the name they have there.
#[derive(Default)]
struct Scope {
    children: HashSet<String>,
    imports: HashMap<String, Vec<String>>,
}

type Scopes = HashMap<Vec<String>, Scope>;

fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// Paths as written, with the module and line they stand in; notes imports and children on the way.
fn scan(tokens: &[Placed], file: Vec<String>, scopes: &mut Scopes) -> Vec<(Vec<String>, Vec<String>, usize)> {
    let mut found = Vec::new();
    let mut module = file;
    let mut depth = 0;
    let mut inner = Vec::new();
    let mut at = 0;
    scopes.entry(module.clone()).or_default();
    while let Some((token, line)) = tokens.get(at) {
        let after = tokens.get(at + 2).map(|(token, _)| token);
        match (token, tokens.get(at + 1).map(|(token, _)| token)) {
            (Token::Word(word), Some(Token::Word(name))) if word == "mod" => {
                scopes.entry(module.clone()).or_default().children.insert(name.clone());
                if after == Some(&Token::Mark('{')) {
                    module.push(name.clone());
                    inner.push(depth);
                    depth += 1;
                    at += 1;
                }
                at += 2;
                continue;
            }
            // `use<'a>` of a captured lifetime is no import.
            (Token::Word(word), next) if word == "use" && next != Some(&Token::Mark('<')) => {
                let mut leaves = Vec::new();
                at = use_tree(tokens, at + 1, &[], &mut leaves);
                for (path, name, line) in leaves {
                    scopes.entry(module.clone()).or_default().imports.insert(name, path.clone());
                    found.push((module.clone(), path, line));
                }
                continue;
            }
            (Token::Word(first), Some(Token::Colons)) if !is_inside(tokens, at) => {
                let mut path = vec![first.clone()];
                while let (Some((Token::Colons, _)), Some((Token::Word(word), _))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    path.push(word.clone());
                    at += 2;
                }
                found.push((module.clone(), path, *line));
            }
            (Token::Mark('{'), _) => depth += 1,
            (Token::Mark('}'), _) => {
                depth -= 1;
                if inner.last() == Some(&depth) {
                    inner.pop();
                    module.pop();
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Whether the word continues a path or names a field or method.
fn is_inside(tokens: &[Placed], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at)).map(|(token, _)| token);
    match before(1) {
        // A path from the outermost root, as `::std::fs`, has no word before its colons.
        Some(Token::Colons) => matches!(before(2), Some(Token::Word(_) | Token::Mark('>'))),
        // A range, `0..m::N`, is no field.
        Some(Token::Mark('.')) => before(2) != Some(&Token::Mark('.')),
        _ => false,
    }
}

/// Reads one branch of a `use`; each leaf with the name it gets. Returns where it goes on.
fn use_tree(
    tokens: &[Placed],
    mut at: usize,
    prefix: &[String],
    leaves: &mut Vec<(Vec<String>, String, usize)>,
) -> usize {
    let mut path = prefix.to_vec();
    let mut name = prefix.last().cloned().unwrap_or_default();
    while let Some((token, line)) = tokens.get(at) {
        at += 1;
        match token {
            Token::Word(word) if word == "as" => {
                if let Some((Token::Word(alias), _)) = tokens.get(at) {
                    name.clone_from(alias);
                    at += 1;
                }
            }
            // `a::{self}` is `a`; at the beginning it is a root.
            Token::Word(word) if word == "self" && !path.is_empty() => {}
            Token::Word(word) => {
                path.push(word.clone());
                name.clone_from(word);
            }
            Token::Mark('*') => path.push("*".to_owned()),
            Token::Mark('{') => {
                while tokens.get(at).is_some_and(|(token, _)| *token != Token::Mark('}')) {
                    at = use_tree(tokens, at, &path, leaves);
                    if tokens.get(at).is_some_and(|(token, _)| *token == Token::Mark(',')) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            Token::Colons => {}
            Token::Mark(_) | Token::Text(_) => {
                at -= 1;
                leaves.push((path, name, *line));
                return at;
            }
        }
    }
    at
}

fn resolve(path: &[String], module: &[String], scopes: &Scopes, depth: usize) -> Vec<String> {
    let Some((first, rest)) = path.split_first() else { return Vec::new() };
    let below = |module: &[String]| [module, rest].concat();
    let scope = scopes.get(module);
    match first.as_str() {
        "crate" | "tkbd" => below(&["crate".to_owned()]),
        "self" => below(module),
        "super" => {
            let parent = module.get(..module.len().saturating_sub(1)).unwrap_or_default();
            if rest.first().is_some_and(|next| next == "super") {
                resolve(rest, parent, scopes, depth)
            } else {
                below(parent)
            }
        }
        _ if scope.is_some_and(|scope| scope.children.contains(first)) => [module, path].concat(),
        // An import may begin with another import's name, but not for ever.
        _ if depth < 4 => match scope.and_then(|scope| scope.imports.get(first)) {
            Some(import) if import.first() != Some(first) => {
                [resolve(import, module, scopes, depth + 1), rest.to_vec()].concat()
            }
            _ => path.to_vec(),
        },
        _ => path.to_vec(),
    }
}

/// `crate::Name`, where the root has it from one of its modules, is that module's.
fn re_exported(path: Vec<String>, scopes: &Scopes) -> Vec<String> {
    let root = ["crate".to_owned()];
    let (Some(scope), [first, name, rest @ ..]) = (scopes.get(&root[..]), path.as_slice()) else {
        return path;
    };
    match scope.imports.get(name) {
        Some(import) if *first == root[0] && !scope.children.contains(name) => {
            [resolve(import, &root, scopes, 0), rest.to_vec()].concat()
        }
        _ => path,
    }
}

/// Leaves out what stands under `#[cfg(test)]`, and tells which modules of other files do.
fn without_tests(tokens: &[Placed]) -> (Vec<Placed>, Vec<String>) {
    let mut kept = Vec::new();
    let mut modules = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !is_cfg_test(&tokens[at..]) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        while let Some((Token::Mark('#'), _)) = tokens.get(at) {
            at = end_of(tokens, at + 1, Some(']'), "");
        }
        if tokens.get(at).and_then(word) == Some("pub") {
            at += 1;
            if tokens.get(at).is_some_and(|(token, _)| *token == Token::Mark('(')) {
                at = end_of(tokens, at, Some(')'), "");
            }
        }
        let words: Vec<&str> = tokens[at..].iter().map_while(word).collect();
        if let ["mod", name] = words.as_slice() {
            modules.push((*name).to_owned());
        }
        at = match words.first() {
            Some(&("use" | "const" | "static" | "type" | "let")) if !words.contains(&"fn") => {
                end_of(tokens, at, None, ";")
            }
            Some(&("mod" | "fn" | "impl" | "struct" | "enum" | "trait" | "async" | "unsafe" | "const")) => {
                end_of(tokens, at, Some('}'), ";")
            }
            // A field, an arm, a statement.
            _ => end_of(tokens, at, Some('}'), ";,"),
        };
    }
    (kept, modules)
}

fn word((token, _): &Placed) -> Option<&str> {
    match token {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

fn is_cfg_test(tokens: &[Placed]) -> bool {
    let marks = ['#', '[', '(', ')', ']'].map(Token::Mark);
    let [hash, open, of, end, close] = &marks;
    let (cfg, test) = (Token::Word("cfg".to_owned()), Token::Word("test".to_owned()));
    let pattern = [hash, open, &cfg, of, &test, end, close];
    tokens.len() > pattern.len() && tokens.iter().zip(pattern).all(|((token, _), expected)| token == expected)
}

/// The place after the bracket `closer`, or after one of the marks that end, outside inner brackets; or
/// before the bracket that closes what all of it stands in.
fn end_of(tokens: &[Placed], mut at: usize, closer: Option<char>, ends: &str) -> usize {
    let mut depth = 0_usize;
    while let Some((token, _)) = tokens.get(at) {
        match token {
            Token::Mark('{' | '(' | '[') => depth += 1,
            Token::Mark('}' | ')' | ']') if depth == 0 => return at,
            Token::Mark(mark @ ('}' | ')' | ']')) => {
                depth -= 1;
                if depth == 0 && closer == Some(*mark) {
                    return at + 1;
                }
            }
            Token::Mark(mark) if depth == 0 && ends.contains(*mark) => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

fn tokens(text: &str) -> Vec<Placed> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        let begun = line;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                let inside: String = chars[start + 1..(i - 1).min(chars.len())].iter().collect();
                tokens.push((Token::Text(inside.replace("\\\"", "\"")), begun));
            }
            // A character, or a lifetime.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            '\'' => i += 1,
            ':' if at(i + 1) == ':' => {
                tokens.push((Token::Colons, begun));
                i += 2;
            }
            c if is_word(c) => {
                while is_word(at(i)) {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect();
                let hashes = (i..).take_while(|i| at(*i) == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && at(i + hashes) == '"' {
                    let open = i + hashes + 1;
                    let closes = |i: usize| at(i) == '"' && (1..=hashes).all(|n| at(i + n) == '#');
                    let close = (open..chars.len()).find(|i| closes(*i)).unwrap_or(chars.len());
                    tokens.push((Token::Text(chars[open..close].iter().collect()), begun));
                    i = close + hashes + 1;
                } else if word == "r" && hashes == 1 {
                    i += 1;
                } else if !c.is_numeric() {
                    tokens.push((Token::Word(word), begun));
                }
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push((Token::Mark(c), begun));
                }
                i += 1;
            }
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}
