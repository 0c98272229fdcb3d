//! `tract-shapes FILE.onnx`: the shape of every value as tract infers it, as lines `value,1 3 224 224`. What it leaves out it
//! does not know; why it stopped stands on stderr.

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

fn main() -> TractResult<()> {
    let path = std::env::args().nth(1).expect("usage: tract-shapes FILE.onnx");
    let mut model = tract_onnx::onnx().with_ignore_output_shapes(true).model_for_path(path)?;
    let done = model.analyse(true);
    for (&outlet, label) in &model.outlet_labels {
        let dims = model.outlet_fact(outlet)?.shape.concretize();
        let dims: Option<Vec<usize>> = dims.and_then(|dims| dims.iter().map(|dim| dim.to_usize().ok()).collect());
        if let Some(dims) = dims {
            let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
            println!("{label},{}", dims.join(" "));
        }
    }
    if let Err(error) = done {
        eprintln!("{error:#}");
    }
    Ok(())
}
