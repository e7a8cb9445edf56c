//! Rust source as tokens: enough of the grammar to tell code from comments and strings.

#[derive(Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

pub(crate) fn texts<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    tokens.iter().map(|token| token.text).collect()
}

/// The tokens without items under `#[cfg(test)]`.
pub(crate) fn shipped<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(&token) = rest.first() {
        match texts(&rest[..rest.len().min(8)])[..] {
            ["#", "!", "[", "cfg", "(", "test", ..] => break,
            ["#", "[", "cfg", "(", "test", ..] | ["#", "[", "cfg", "(", "all", "(", "test", ..] => {
                rest = &rest[item_length(rest)..];
            }
            _ => {
                kept.push(token);
                rest = &rest[1..];
            }
        }
    }
    kept
}

/// The number of tokens of the item that starts here, with its attributes.
fn item_length(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return at,
            "}" if depth == 1 => return at + 1,
            ")" | "]" | "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Identifiers, `::` and single characters, without comments and string literals.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, is_code) = match silent_length(rest) {
            Some(length) => (length, false),
            None if rest.starts_with("::") => (2, true),
            None => match rest.find(|c: char| !is_identifier(c)).unwrap_or(rest.len()) {
                0 => (first.len_utf8(), !first.is_whitespace()),
                identifier => (identifier, true),
            },
        };
        let (text, after) = rest.split_at(length);
        if is_code {
            found.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    found
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment or string literal that starts here, if one does.
fn silent_length(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_length(rest));
    }
    let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|after| after.starts_with(['"', '#', '\'']))
    });
    let prefix = prefix.unwrap_or_default();
    let body = &rest[prefix.len()..];
    let length = if prefix.ends_with('r') {
        let hashes = &body[..body.find(|c| c != '#')?];
        // `r#name` is an identifier.
        let text = body[hashes.len()..].strip_prefix('"')?;
        let end = format!("\"{hashes}");
        hashes.len() + 1 + text.find(&end).map_or(text.len(), |at| at + end.len())
    } else {
        let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let text = &body[1..];
        if quote == '\'' && is_lifetime(text) {
            return None;
        }
        1 + quoted_length(text, quote)
    };
    Some(prefix.len() + length)
}

/// Whether the quote before `text` starts a lifetime and not a character.
fn is_lifetime(text: &str) -> bool {
    !text.starts_with('\\') && text.chars().nth(1) != Some('\'')
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}
