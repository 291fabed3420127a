mod ${name};
fn main() -> Result<(), ${name}::Error> {
    let denoiser = |x: &[f64], sigma: f64, denoised: &mut [f64]| {
        for (estimate, value) in denoised.iter_mut().zip(x) {
            *estimate = value / (1.0 + sigma * sigma);
        }
    };
    let (mut x, sigmas) = ([7.0], [10.0, 1.0, 0.0]);
    let mut normals = [0.0; ${name}::STRETCHES * ${name}::DEGREE]; // your own; the step to level 0 takes none
    normals[0] = 0.5;
    ${name}::sample(denoiser, &mut x, &sigmas, &normals, 1.0)?;
    println!("{}", x[0]);
    Ok(())
}
