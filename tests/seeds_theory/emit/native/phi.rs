/// Input: k and z, any number of times. Output: phi_k(z) and damped_phi_k(z).
fn main() {
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    for pair in words.chunks(2) {
        let (k, z) = (pair[0].parse().unwrap(), pair[1].parse().unwrap());
        println!("{} {}", phi(k, z), damped_phi(k, z));
    }
}
