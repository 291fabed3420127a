/// e^{-z} phi_k(z), which is finite for every z >= 0.
fn damped_phi(k: u32, z: f64) -> f64 {
    if z <= 3.0 {
        return (-z).exp() * phi(k, z);
    }
    let (mut value, mut factorial) = (phi(1, -z), 1.0);
    for j in 1..k {
        factorial *= f64::from(j);
        value = (value - (-z).exp() / factorial) / z;
    }
    value
}

