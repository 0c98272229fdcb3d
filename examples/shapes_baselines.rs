//! How hard the data set `shapes` is: a linear classifier and a small convolutional network, three seeds each.
//!
//! `cargo run --release --example shapes_baselines > results/shapes-baselines.csv`; progress goes to stderr.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a script's results and progress")]

use std::error::Error;

use systole::data::{Augment, Dataset, Layout, Loader, Order, SplitSizes, Splits, shapes};
use systole::torch::{DeviceChoice, Sgd, SgdConfig, make_channels_last, open, seed_step, set_threads};
use tch::nn::{self, Module, ModuleT};
use tch::{Kind, Tensor};

const SEEDS: [u64; 3] = [0, 1, 2];
const BATCH: usize = 64;
const SIZES: SplitSizes = SplitSizes { training: 6_000, selection: 2_000, test: None };

/// A classifier of images `[batch, 3, 32, 32]`, and how it is trained.
struct Recipe {
    name: &'static str,
    build: fn(&nn::Path) -> nn::SequentialT,
    augment: Augment,
    epochs: u64,
    learning_rate: f64,
}

const RECIPES: [Recipe; 2] = [
    Recipe { name: "linear", build: linear, augment: Augment::NONE, epochs: 30, learning_rate: 0.002 },
    Recipe { name: "conv-16-32-64", build: convolutional, augment: Augment::STANDARD, epochs: 10, learning_rate: 0.1 },
];

fn linear(path: &nn::Path) -> nn::SequentialT {
    let layer = nn::linear(path / "linear", 3 * 32 * 32, 10, nn::LinearConfig::default());
    nn::seq_t().add_fn(move |images| layer.forward(&images.flatten(1, -1)))
}

/// Three times convolution 3x3, batch norm, ReLU and pooling.
fn convolutional(path: &nn::Path) -> nn::SequentialT {
    let config = nn::ConvConfig { padding: 1, bias: false, ..nn::ConvConfig::default() };
    let norm = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), ..nn::BatchNormConfig::default() };
    let mut net = nn::seq_t();
    for (layer, (from, to)) in [(3, 16), (16, 32), (32, 64)].into_iter().enumerate() {
        let place = path / format!("layer{layer}");
        net = net
            .add(nn::conv2d(&place / "conv", from, to, 3, config))
            .add(nn::batch_norm2d(&place / "norm", to, norm))
            .add_fn(Tensor::relu)
            .add_fn(|x| x.max_pool2d_default(2));
    }
    net.add_fn(|x| x.mean_dim([2, 3].as_slice(), false, Kind::Float)).add(nn::linear(
        path / "head",
        64,
        10,
        nn::LinearConfig::default(),
    ))
}

/// Share of the images of `split` whose class the network finds.
fn accuracy(net: &nn::SequentialT, loader: &Loader, split: &[i64]) -> Result<f64, Box<dyn Error>> {
    let epoch = loader.epoch(split, 500, Order::Sequential)?;
    let mut right = 0.0;
    for number in 0..epoch.batches() {
        let batch = epoch.batch(number)?;
        let found = tch::no_grad(|| net.forward_t(&batch.images, false).argmax(1, false));
        right += found.eq_tensor(&batch.labels).sum(Kind::Double).double_value(&[]);
    }
    Ok(right / split.len() as f64)
}

fn train(recipe: &Recipe, data: &Dataset, splits: &Splits, seed: u64) -> Result<f64, Box<dyn Error>> {
    seed_step(seed, 0, 0, 0);
    let store = nn::VarStore::new(data.device());
    let net = (recipe.build)(&store.root());
    // in the order of their names: a store lists its variables in no fixed order
    let mut named: Vec<(String, Tensor)> = store.variables().into_iter().filter(|(_, v)| v.requires_grad()).collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    let parameters: Vec<Tensor> = named.into_iter().map(|(_, variable)| variable).collect();
    make_channels_last(&parameters)?;
    let config = SgdConfig { momentum: 0.9, weight_decay: 5e-4, nesterov: true, clip: Some(5.0) };
    let mut sgd = Sgd::new(parameters, config)?;
    let loader = Loader::new(data, recipe.augment, Layout::ChannelsLast)?;
    for epoch in 0..recipe.epochs {
        let pass = loader.epoch(&splits.training, BATCH, Order::Shuffled { seed, stage: 1, epoch })?;
        for step in 0..pass.batches() {
            seed_step(seed, 1, epoch, step as u64);
            let batch = pass.batch(step)?;
            net.forward_t(&batch.images, true).cross_entropy_for_logits(&batch.labels).backward();
            let done = (epoch as f64 + step as f64 / pass.batches() as f64) / recipe.epochs as f64;
            sgd.step(recipe.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))?;
        }
    }
    eprintln!("{} seed {seed}: training images {:.4}", recipe.name, accuracy(&net, &loader, &splits.training)?);
    accuracy(&net, &loader, &splits.test)
}

fn main() -> Result<(), Box<dyn Error>> {
    set_threads(1);
    let device = open(DeviceChoice::Cpu)?;
    println!("classifier,seed,training_images,test_images,epochs,test_accuracy");
    for recipe in &RECIPES {
        let mut found = Vec::new();
        for seed in SEEDS {
            let data = Dataset::new(&shapes::generate(0, shapes::TRAINING, shapes::TEST), device)?;
            let splits = Splits::new(&data, SIZES, seed)?;
            let accuracy = train(recipe, &data, &splits, seed)?;
            let (training, test) = (splits.training.len(), splits.test.len());
            println!("{},{seed},{training},{test},{},{accuracy:.4}", recipe.name, recipe.epochs);
            found.push(accuracy);
        }
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        let variance = found.iter().map(|a| (a - mean) * (a - mean)).sum::<f64>() / (found.len() - 1) as f64;
        eprintln!("{}: mean {mean:.4}, deviation {:.4}, n = {}", recipe.name, variance.sqrt(), found.len());
    }
    Ok(())
}
