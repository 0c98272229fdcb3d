use systole::jobs::{
    Job, Overrides,
    progress::Progress,
    search::{SearchOptions, run},
};
struct P(std::time::Instant);
impl Progress for P {
    fn begin(&mut self, p: &str, s: u64, d: u64) {
        println!("{p} {s} {d}");
    }
    fn step(&mut self) {}
    fn say(&mut self, l: &str) {
        println!("{l}");
    }
    fn interrupted(&self) -> bool {
        false
    }
    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let job = Job::load(
        a[1].as_ref(),
        &Overrides { set: a[3..].iter().filter(|s| s.contains('=')).cloned().collect(), ..Default::default() },
    )
    .unwrap();
    let o = SearchOptions {
        data: a[3..].iter().find(|s| !s.contains('=')).map(Into::into),
        out: a[2].clone().into(),
        existing: systole::record::Existing::Force,
        device: systole::torch::DeviceChoice::Cpu,
        threads: std::env::var("T").ok().map(|t| t.parse().unwrap()),
    };
    match run(&job, &o, &mut P(std::time::Instant::now())) {
        Ok(r) => println!("{}", serde_json::to_string_pretty(&r.summary).unwrap()),
        Err(e) => println!("error: {e}"),
    }
}
