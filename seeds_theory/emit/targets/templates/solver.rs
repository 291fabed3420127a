${header}

${heading}
//!
//! Example, for Gaussian data of mean 0 and variance 1; ${name}.rs lies beside it:
//!
${example}

#![allow(dead_code)] // a program may use a part of it

/// Model calls of a step.
pub const CALLS: usize = ${calls};
/// Stretches of the path that a step draws noise of, in time order.
pub const STRETCHES: usize = ${stretches};
/// Standard normals of a stretch: its noise, then what further moments of the path add.
pub const DEGREE: usize = ${degree};
/// Numbers of workspace of a step, for each number of x.
pub const WORKSPACE: usize = ${workspace};

/// Why a run is not possible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Error {
    /// Fewer than two levels, or none between infinity and 0.
    GridTooShort,
    /// A level that is not below the one before it, or not a number.
    GridNotDescending(f64),
    /// A level that is neither in [1e-100, 1e100], nor a first infinity or a last 0.
    LevelOutOfRange(f64),
    /// An eta that is negative or not finite.
    EtaOutOfRange(f64),
    /// Normals of another length than are needed.
    Normals { needed: usize, given: usize },
    /// A workspace of another length than is needed.
    Workspace { needed: usize, given: usize },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::GridTooShort => {
                write!(f, "a grid has two or more noise levels, one of them finite and above 0")
            }
            Error::GridNotDescending(level) => {
                write!(f, "noise levels are numbers that descend strictly; got {level}")
            }
            Error::LevelOutOfRange(level) => write!(
                f,
                "noise levels lie between 1e-100 and 1e100; the first may be infinite, the last 0; got {level}"
            ),
            Error::EtaOutOfRange(eta) => write!(f, "eta is a finite number >= 0; got {eta}"),
            Error::Normals { needed, given } => {
                write!(f, "the run takes {needed} normals; got {given}")
            }
            Error::Workspace { needed, given } => {
                write!(f, "the step takes a workspace of {needed} numbers; got {given}")
            }
        }
    }
}

impl std::error::Error for Error {}

${helpers}/// Whether a run on these levels is possible, and if not, why.
pub fn check(sigmas: &[f64], eta: f64) -> Result<(), Error> {
    let last = sigmas.len().saturating_sub(1);
    if last == 0 || (sigmas[0].is_infinite() && sigmas[1] == 0.0) {
        return Err(Error::GridTooShort);
    }
    for (n, &level) in sigmas.iter().enumerate() {
        if level.is_nan() || (n > 0 && level >= sigmas[n - 1]) {
            return Err(Error::GridNotDescending(level));
        }
        let end = (n == 0 && level == f64::INFINITY) || (n == last && level == 0.0);
        if !end && !(1e-100..=1e100).contains(&level) {
            return Err(Error::LevelOutOfRange(level));
        }
    }
    if !eta.is_finite() || eta < 0.0 {
        return Err(Error::EtaOutOfRange(eta));
    }
    Ok(())
}

/// How many standard normals a run takes, for each number of x: a step `STRETCHES * DEGREE`, one from an infinite
/// level 1, one to level 0 none; at eta = 0 none at all.
pub fn normals_count(sigmas: &[f64], eta: f64) -> usize {
    let of_step = |pair: &[f64]| match (pair[0], pair[1]) {
        (_, t) if t == 0.0 || eta == 0.0 => 0,
        (s, _) if s.is_infinite() => 1,
        _ => STRETCHES * DEGREE,
    };
    sigmas.windows(2).map(of_step).sum()
}

/// The noise levels between which the stretches of a step from a finite s down to t > 0 lie.
pub fn levels(s: f64, t: f64) -> [f64; STRETCHES + 1] {
${levels}
}

/// One step from level s down to t; x is overwritten with the states at t.
///
/// `denoiser(x, sigma, denoised)` writes the estimates of the clean data for the states x at that level to denoised.
/// Any number of samples may lie in x one after the other. `normals` has the step's normals: of each stretch in
/// time order its `DEGREE` normals, each of them as long as x. `work` has `WORKSPACE * x.len()` numbers.
pub fn step(
    mut denoiser: impl FnMut(&[f64], f64, &mut [f64]),
    x: &mut [f64],
    s: f64,
    t: f64,
    normals: &[f64],
    eta: f64,
    work: &mut [f64],
) -> Result<(), Error> {
    check(&[s, t], eta)?;
    let size = x.len();
    require_normals(normals, normals_count(&[s, t], eta) * size)?;
    if work.len() != WORKSPACE * size {
        return Err(Error::Workspace {
            needed: WORKSPACE * size,
            given: work.len(),
        });
    }

${arrays}
    denoiser(x, s, f_1);
    if t == 0.0 {
        x.copy_from_slice(f_1);
        return Ok(());
    }
    if s.is_infinite() {
        for k in 0..size {
            x[k] = f_1[k] + t * if eta > 0.0 { normals[k] } else { x[k] };
        }
        return Ok(());
    }

${coefficients}

${stages}
    Ok(())
}

/// A run from the states x at `sigmas[0]` to those at the last level, which overwrite x.
///
/// The levels descend; the first may be infinite, where x is unit noise, the last 0. `eta` is 1 for the reverse SDE, 0
/// for the ODE. `normals` has `normals_count(sigmas, eta) * x.len()` standard normals: what each step takes, one
/// step after the other.
pub fn sample(
    mut denoiser: impl FnMut(&[f64], f64, &mut [f64]),
    x: &mut [f64],
    sigmas: &[f64],
    normals: &[f64],
    eta: f64,
) -> Result<(), Error> {
    check(sigmas, eta)?;
    require_normals(normals, normals_count(sigmas, eta) * x.len())?;
    let mut work = vec![0.0; WORKSPACE * x.len()];
    let mut left = normals;
    for pair in sigmas.windows(2) {
        let (own, later) = left.split_at(normals_count(pair, eta) * x.len());
        step(&mut denoiser, x, pair[0], pair[1], own, eta, &mut work)?;
        left = later;
    }
    Ok(())
}

fn require_normals(normals: &[f64], needed: usize) -> Result<(), Error> {
    if normals.len() == needed {
        Ok(())
    } else {
        Err(Error::Normals {
            needed,
            given: normals.len(),
        })
    }
}
