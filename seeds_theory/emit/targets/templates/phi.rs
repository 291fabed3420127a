/// phi_k(z) = (e^z - sum_{j<k} z^j / j!) / z^k for k >= 1: sums of positive terms where this would cancel.
fn phi(k: u32, z: f64) -> f64 {
    if z.abs() > 3.0 {
        let (mut value, mut factorial) = (z.exp_m1() / z, 1.0);
        for j in 1..k {
            factorial *= f64::from(j);
            value = (value - 1.0 / factorial) / z;
        }
        return value;
    }
    let factorial: f64 = (1..=k).map(f64::from).product();
    let (mut value, mut term) = (1.0, 1.0);
    for n in 1..30 {
        let (n, shifted) = (f64::from(n), f64::from(n + k));
        term *= if z < 0.0 { -z / n } else { z / shifted };
        let weight = if z < 0.0 { f64::from(k) / shifted } else { 1.0 };
        value += term * weight;
    }
    (if z < 0.0 { z.exp() * value } else { value }) / factorial
}

