${header}

//! ${method} behind a pipe: it serves runs as JSON lines on standard input and output, so that a program in any
//! language can check it. The messages: the book of seeds-theory, chapter "For implementers".
//!
//!     rustc --edition 2021 -O -o ${name} main.rs
//!     seeds-conformance check --method ${base} -- ./${name}
//!     seeds-audit "pipe:./${name}"

mod ${name};

use ${name}::{check, levels, normals_count, step, DEGREE, WORKSPACE};
use std::io::{BufRead, Write};

const METHOD: &str = "${method}";
const BASE: &str = "${base}";
const PREDICTION: &str = "${prediction}";
const NODES: &[f64] = &[${nodes}];
const USUAL_NODES: bool = ${usual_nodes};
const USUAL_PREDICTION: bool = ${usual_prediction};

// ------------------------------------------------------------------------------------------------ JSON

/// A value of JSON.
#[derive(Debug)]
enum Json {
    Word, // null, true or false, which no message has
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value of a text; None if it is none, or nested too deeply.
    fn parse(text: &str) -> Option<Json> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(16)?;
        reader.skip_blanks();
        (reader.at == text.len()).then_some(value)
    }

    /// The member of an object.
    fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// Appends the numbers of nested lists; false if they do not have that shape, or are not finite.
    fn flatten(&self, shape: &[usize], into: &mut Vec<f64>) -> bool {
        match (self, shape) {
            (Json::Number(number), []) => {
                into.push(*number);
                number.is_finite()
            }
            (Json::List(parts), [count, inner @ ..]) => {
                parts.len() == *count && parts.iter().all(|part| part.flatten(inner, into))
            }
            _ => false,
        }
    }

    /// The number of elements of a list, otherwise 0.
    fn count(&self) -> usize {
        match self {
            Json::List(parts) => parts.len(),
            _ => 0,
        }
    }

    fn is_text(&self, text: &str) -> bool {
        matches!(self, Json::Text(own) if own == text)
    }
}

/// Reads JSON from a place in a text.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> u8 {
        *self.text.as_bytes().get(self.at).unwrap_or(&0)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// Goes past a byte if it is next, blanks aside.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: u32) -> Option<Json> {
        self.skip_blanks();
        match self.peek() {
            b'{' | b'[' if depth == 0 => None,
            b'{' => self.object(depth - 1),
            b'[' => self.list(depth - 1),
            b'"' => self.string().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                let word = ["null", "true", "false"]
                    .iter()
                    .find(|word| self.rest().starts_with(*word))?;
                self.at += word.len();
                Some(Json::Word)
            }
        }
    }

    fn list(&mut self, depth: u32) -> Option<Json> {
        let mut parts = Vec::new();
        if self.takes(b'[') && self.takes(b']') {
            return Some(Json::List(parts));
        }
        loop {
            parts.push(self.value(depth)?);
            if self.takes(b']') {
                return Some(Json::List(parts));
            }
            self.takes(b',').then_some(())?;
        }
    }

    fn object(&mut self, depth: u32) -> Option<Json> {
        let mut members = Vec::new();
        if self.takes(b'{') && self.takes(b'}') {
            return Some(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            self.takes(b':').then_some(())?;
            members.push((name, self.value(depth)?));
            if self.takes(b'}') {
                return Some(Json::Object(members));
            }
            self.takes(b',').then_some(())?;
        }
    }

    fn string(&mut self) -> Option<String> {
        self.text[self.at..].strip_prefix('"')?;
        let mut found = String::new();
        let mut letters = self.text[self.at + 1..].char_indices();
        while let Some((offset, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at += offset + 2;
                    return Some(found);
                }
                '\\' => found.push(match letters.next()?.1 {
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let code = (0..4).try_fold(0, |code, _| {
                            letters
                                .next()?
                                .1
                                .to_digit(16)
                                .map(|digit| 16 * code + digit)
                        })?;
                        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                    same @ ('"' | '\\' | '/') => same,
                    _ => return None,
                }),
                ' '.. => found.push(letter),
                _ => return None,
            }
        }
        None
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.at;
        self.at += usize::from(self.peek() == b'-');
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.digits()?;
        }
        self.text[start..self.at].parse().ok().map(Json::Number)
    }
}

// ---------------------------------------------------------------------------------------- conversation

/// Who is at the other end, in one run.
struct Client<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
    shape: [usize; 2], // the batch, and the numbers of a sample
    fault: Option<String>,
}

/// The next line; None at the end of the input.
fn read_line(input: &mut dyn BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let count = input.read_until(b'\n', &mut line)?;
    Ok((count > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
}

fn send(output: &mut dyn Write, message: &str) -> std::io::Result<()> {
    writeln!(output, "{message}")?;
    output.flush()
}

impl Client<'_> {
    /// Sends a request and appends the numbers of its answer.
    fn ask(
        &mut self,
        request: &str,
        name: &str,
        shape: &[usize],
        into: &mut Vec<f64>,
    ) -> Result<(), String> {
        send(self.output, request).map_err(|error| error.to_string())?;
        let line = read_line(self.input).map_err(|error| error.to_string())?;
        let message = line.and_then(|line| Json::parse(&line));
        let answer = message.as_ref().and_then(|message| message.get(name));
        match answer {
            Some(numbers) if numbers.flatten(shape, into) => Ok(()),
            _ => Err("the answer has no finite numbers of the right shape".into()),
        }
    }

    /// States as nested lists.
    fn nested(&self, x: &[f64], what: &str) -> Result<String, String> {
        if !x.iter().all(|value| value.is_finite()) {
            return Err(format!("{what} is not finite"));
        }
        let rows: Vec<String> = x
            .chunks(self.shape[1])
            .map(|row| format!("{row:?}"))
            .collect();
        Ok(format!("[{}]", rows.join(", ")))
    }

    /// The estimates of the model.
    fn denoised(&mut self, x: &[f64], sigma: f64) -> Result<Vec<f64>, String> {
        let states = self.nested(x, "a state")?;
        let request = format!(r#"{{"denoise": {{"x": {states}, "sigma": {sigma:?}}}}}"#);
        let mut estimates = Vec::with_capacity(x.len());
        let shape = self.shape;
        self.ask(&request, "denoised", &shape, &mut estimates)?;
        Ok(estimates)
    }

    /// The normals of a step.
    fn draw(&mut self, s: f64, t: f64) -> Result<Vec<f64>, String> {
        let mut normals = Vec::new();
        let shape = [DEGREE, self.shape[0], self.shape[1]];
        for ends in levels(s, t).windows(2) {
            let (from, to) = (ends[0], ends[1]);
            let request = format!(
                r#"{{"noise": {{"from": {from:?}, "to": {to:?}, "degree": {DEGREE}${form}}}}}"#
            );
            self.ask(&request, "noise", &shape, &mut normals)?;
        }
        Ok(normals)
    }
}

/// The eta of a run; an error if an option asks for something else than this program has.
fn read_options(options: &Json) -> Result<f64, String> {
    let Json::Object(members) = options else {
        return Err("the options are no object".into());
    };
    let (mut eta, mut named) = (1.0, false);
    let (mut same_nodes, mut same_prediction) = (None, None);
    for (name, value) in members {
        let mut numbers = Vec::new();
        match name.as_str() {
            "method" if value.is_text(BASE) => named = true,
            "method" if value.is_text(METHOD) => {
                named = true;
                same_nodes = same_nodes.or(Some(true));
            }
            "method" => return Err(format!("this program has the method {METHOD}")),
            "nodes" => {
                let flat = value.flatten(&[NODES.len()], &mut numbers);
                let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
                same_nodes = Some(flat && numbers.iter().zip(NODES).all(near));
            }
            "prediction" => same_prediction = Some(value.is_text(PREDICTION)),
            "eta" if value.flatten(&[], &mut numbers) => eta = numbers[0],
            "eta" => return Err("eta is a number".into()),
            _ => {
                return Err(
                    "the options of this program are method, nodes, prediction and eta".into(),
                )
            }
        }
    }
    if !same_nodes.unwrap_or(!named || USUAL_NODES) {
        return Err("this program has other nodes".into());
    }
    if !same_prediction.unwrap_or(!named || USUAL_PREDICTION) {
        return Err(format!(
            "this program integrates the prediction of {PREDICTION}"
        ));
    }
    Ok(eta)
}

/// Serves one run; its result as it is sent.
fn serve(run: &Json, client: &mut Client) -> Result<String, String> {
    let (mut x, mut sigmas) = (Vec::new(), Vec::new());
    let states = run
        .get("x")
        .ok_or("a conversation begins with a run, which has x")?;
    if let Json::List(samples) = states {
        client.shape = [samples.len(), samples.first().map_or(0, Json::count)];
    }
    if !states.flatten(&client.shape, &mut x) || x.is_empty() {
        return Err("x is a list of samples, each a list of finite numbers".into());
    }
    if !run
        .get("sigmas")
        .is_some_and(|grid| grid.flatten(&[grid.count()], &mut sigmas))
    {
        return Err("sigmas is a list of finite numbers".into());
    }
    let eta = run.get("options").map_or(Ok(1.0), read_options)?;
    check(&sigmas, eta).map_err(|error| error.to_string())?;
    let mut work = vec![0.0; WORKSPACE * x.len()];
    for pair in sigmas.windows(2) {
        let (s, t) = (pair[0], pair[1]);
        let normals = if normals_count(pair, eta) > 0 {
            client.draw(s, t)?
        } else {
            Vec::new()
        };
        // After a fault the step only runs to its end.
        let denoiser = |x: &[f64], sigma: f64, denoised: &mut [f64]| {
            if client.fault.is_none() {
                match client.denoised(x, sigma) {
                    Ok(estimates) => denoised.copy_from_slice(&estimates),
                    Err(fault) => client.fault = Some(fault),
                }
            }
        };
        step(denoiser, &mut x, s, t, &normals, eta, &mut work)
            .map_err(|error| error.to_string())?;
        if let Some(fault) = client.fault.take() {
            return Err(fault);
        }
    }
    Ok(format!(
        r#"{{"result": {}}}"#,
        client.nested(&x, "the result")?
    ))
}

fn main() -> std::io::Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    while let Some(line) = read_line(&mut input)? {
        let mut client = Client {
            input: &mut input,
            output: &mut output,
            shape: [0, 0],
            fault: None,
        };
        let answer = match Json::parse(&line) {
            None => Err("a line is no JSON".into()),
            Some(message) => match message.get("run") {
                None => Err("a conversation begins with a run".into()),
                Some(run) => serve(run, &mut client),
            },
        };
        let answer = answer.unwrap_or_else(|fault: String| {
            format!(r#"{{"error": "{}"}}"#, fault.replace('"', "'"))
        });
        send(&mut output, &answer)?;
    }
    Ok(())
}
