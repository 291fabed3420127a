//! Runs of an exported method on a model of plain arithmetic. Input: eta, the count of levels and the levels, the
//! size of x and x, the count of normals and the normals; any number of times.

#[path = "${path}"]
mod method;

fn main() {
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    let mut words = text.split_whitespace().map(|word| word.parse::<f64>().unwrap());
    let denoiser = |x: &[f64], sigma: f64, denoised: &mut [f64]| {
        for k in 0..x.len() {
            denoised[k] = x[k] / (1.0 + x[k].abs()) + 1.0 / (1.0 + sigma);
        }
    };
    while let Some(eta) = words.next() {
        let mut numbers = || {
            let count = words.next().unwrap() as usize;
            words.by_ref().take(count).collect::<Vec<f64>>()
        };
        let (sigmas, mut x, normals) = (numbers(), numbers(), numbers());
        match method::sample(denoiser, &mut x, &sigmas, &normals, eta) {
            Ok(()) => {
                let printed: Vec<String> = x.iter().map(f64::to_string).collect();
                println!("{}", printed.join(" "));
            }
            Err(error) => println!("error: {error}"),
        }
    }
}
