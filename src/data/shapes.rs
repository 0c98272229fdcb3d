//! The embedded data set `shapes`: ten kinds of figures, drawn from a seed, without any file.
//!
//! Each image holds one figure of random place, size, rotation and colour, brighter than the shaded and noisy ground, with
//! smaller blobs brighter or darker. Place and colour say nothing about the class, so that a linear classifier fails where
//! a small convolutional network does well.
//!
//! Every image has its own random stream and uses only IEEE-exact operations (`+ - * /` and square root): equal seeds give
//! equal bytes on every machine.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::Pixels;
use super::split::generator;

/// Names of the classes, in the order of the labels.
pub const CLASSES: [&str; 10] =
    ["disc", "ring", "square", "frame", "triangle", "cross", "star", "crescent", "pair", "stripes"];
/// Height and width of an image, in pixels.
pub const SIDE: usize = 32;
/// Images of the training part, unless the caller asks for others.
pub const TRAINING: usize = 8_000;
/// Images of the test part, unless the caller asks for others.
pub const TEST: usize = 2_000;

/// Smallest and largest radius of a figure, in pixels.
const RADIUS: Range<f32> = 6.0..11.0;
/// Largest distance of a figure's centre from the image's on each axis, in pixels.
const SHIFT: f32 = 5.0;
/// Tangent of the largest turn of a figure: 39 degrees.
const TILT: f32 = 0.8;
/// Smallest and largest distance of a brightness from the ground's, in grey levels.
const CONTRAST: Range<f32> = 30.0..75.0;
/// Largest step of the ground's shading from corner to corner, in grey levels.
const SHADING: f32 = 30.0;
/// Largest noise on one pixel, in grey levels; its distribution is a triangle.
const NOISE: f32 = 40.0;
/// Most blobs beside the figure.
const BLOBS: u32 = 4;
/// Largest further distance of each channel, in grey levels.
const TINT: f32 = 28.0;
/// Smallest and largest radius of a blob, in pixels.
const BLOB_RADIUS: Range<f32> = 1.2..2.8;

const PLANE: usize = SIDE * SIDE;
const CHANNELS: usize = 3;

type Colour = [f32; CHANNELS];

/// Stream of the first image of the test part: each part is the same however many images the other has.
const TEST_STREAM: u64 = 1 << 32;

/// Draws `training` images to learn from, then `test` images to judge by; classes take turns in each part.
#[must_use]
pub fn generate(seed: u64, training: usize, test: usize) -> Pixels {
    let mut images = vec![0; (training + test) * CHANNELS * PLANE];
    let streams = (0..training as u64).chain(TEST_STREAM..TEST_STREAM + test as u64);
    for (image, stream) in images.chunks_exact_mut(CHANNELS * PLANE).zip(streams) {
        draw(image, seed, stream);
    }
    let labels = (0..training).chain(0..test).map(|index| label(index as u64)).collect();
    Pixels { name: "shapes".to_owned(), images, labels, classes: CLASSES.len(), training, side: SIDE }
}

/// The class of the image of this number in its part.
fn label(number: u64) -> u8 {
    u8::try_from(number % CLASSES.len() as u64).expect("there are ten classes")
}

/// The random draws of one image.
struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64, stream: u64) -> Self {
        let mut generator = generator(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// A number from 0 below 1: 24 random bits, which f32 holds exactly.
    fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    fn within(&mut self, range: Range<f32>) -> f32 {
        range.start + (range.end - range.start) * self.unit()
    }

    /// A direction near the x axis, as cosine and sine: turned by an angle of tangent up to [`TILT`] either way.
    fn tilt(&mut self) -> [f32; 2] {
        let tangent = self.within(-TILT..TILT);
        let length = (1.0 + tangent * tangent).sqrt();
        [1.0 / length, tangent / length]
    }

    /// A direction of the plane, as cosine and sine: a point of the disc, brought to its rim.
    fn direction(&mut self) -> [f32; 2] {
        loop {
            let (x, y) = (self.within(-1.0..1.0), self.within(-1.0..1.0));
            let square = x * x + y * y;
            if (0.01..1.0).contains(&square) {
                let length = square.sqrt();
                return [x / length, y / length];
            }
        }
    }
}

/// Draws the image of this stream, `[3, 32, 32]`.
fn draw(image: &mut [u8], seed: u64, stream: u64) {
    let mut dice = Dice::new(seed, stream);
    let ground = [0; CHANNELS].map(|_: i32| dice.within(75.0..180.0));
    let mut canvas = shade(&mut dice, ground);
    let radius = dice.within(RADIUS);
    let figure = Spot::random(&mut dice, radius, SHIFT);
    let blobs = dice.0.next_u32() % (BLOBS + 1);
    for _ in 0..blobs {
        let radius = dice.within(BLOB_RADIUS);
        let spot = Spot::random(&mut dice, radius, SIDE as f32);
        let sign = if dice.unit() < 0.5 { -1.0 } else { 1.0 };
        let colour = contrasting(&mut dice, ground, sign);
        paint(&mut canvas, &spot, colour, |[x, y]| x * x + 2.0 * y * y < 1.0);
    }
    let colour = contrasting(&mut dice, ground, 1.0);
    let class = label(stream % TEST_STREAM);
    paint(&mut canvas, &figure, colour, |point| inside(class, point));
    develop(&mut dice, &canvas, image);
}

/// A ground of the given mean colour with one straight gradient in each channel, `[pixel][channel]`.
fn shade(dice: &mut Dice, ground: Colour) -> Vec<Colour> {
    let slopes = [0; CHANNELS].map(|_: i32| {
        let [x, y] = dice.direction();
        let size = dice.within(0.0..SHADING) / SIDE as f32;
        [x * size, y * size]
    });
    let middle = SIDE as f32 / 2.0;
    (0..PLANE)
        .map(|pixel| {
            let (x, y) = ((pixel % SIDE) as f32 - middle, (pixel / SIDE) as f32 - middle);
            std::array::from_fn(|channel| ground[channel] + slopes[channel][0] * x + slopes[channel][1] * y)
        })
        .collect()
}

/// A colour that is brighter (`sign` 1) or darker (-1) than `ground` by a random distance, with a random tint.
fn contrasting(dice: &mut Dice, ground: Colour, sign: f32) -> Colour {
    let distance = sign * dice.within(CONTRAST);
    ground.map(|level| level + distance + dice.within(-TINT..TINT))
}

/// Where a figure lies: it fits into the circle of `radius` around `centre`, in pixels, turned by `turn`.
struct Spot {
    centre: [f32; 2],
    radius: f32,
    turn: [f32; 2],
}

impl Spot {
    /// A place at which the figure lies wholly in the image, its centre at most `shift` from the image's on each axis.
    fn random(dice: &mut Dice, radius: f32, shift: f32) -> Self {
        let middle = SIDE as f32 / 2.0;
        let shift = shift.min(middle - radius);
        let room = middle - shift..middle + shift;
        Self { centre: [dice.within(room.clone()), dice.within(room)], radius, turn: dice.tilt() }
    }

    /// The point `[x, y]` of the image in the figure's own frame, whose unit is the radius.
    fn own_frame(&self, x: f32, y: f32) -> [f32; 2] {
        let (x, y) = ((x - self.centre[0]) / self.radius, (y - self.centre[1]) / self.radius);
        [self.turn[0] * x + self.turn[1] * y, self.turn[0] * y - self.turn[1] * x]
    }
}

/// Lays `colour` over the pixels of `canvas`, by the share of their four sample points that lie `within` the figure.
fn paint(canvas: &mut [Colour], spot: &Spot, colour: Colour, within: impl Fn([f32; 2]) -> bool) {
    for (pixel, under) in canvas.iter_mut().enumerate() {
        let (x, y) = ((pixel % SIDE) as f32, (pixel / SIDE) as f32);
        let reach = spot.radius + 1.0;
        if (x + 0.5 - spot.centre[0]).abs() > reach || (y + 0.5 - spot.centre[1]).abs() > reach {
            continue;
        }
        let samples = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]];
        let hits = samples.iter().filter(|[dx, dy]| within(spot.own_frame(x + dx, y + dy))).count();
        let share = hits as f32 / samples.len() as f32;
        for (level, ink) in under.iter_mut().zip(colour) {
            *level += (ink - *level) * share;
        }
    }
}

/// Adds noise and rounds to bytes: `[pixel][channel]` to `[channel][pixel]`.
fn develop(dice: &mut Dice, canvas: &[Colour], image: &mut [u8]) {
    let mut noise = [0; 2 * CHANNELS * PLANE];
    dice.0.fill_bytes(&mut noise);
    for (position, (level, pair)) in image.iter_mut().zip(noise.chunks_exact(2)).enumerate() {
        let clean = canvas[position % PLANE][position / PLANE];
        let noisy = clean + (f32::from(pair[0]) - f32::from(pair[1])) * (NOISE / 255.0);
        *level = to_level(noisy);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value is clamped to 0..=255")]
fn to_level(value: f32) -> u8 {
    (value.clamp(0.0, 255.0) + 0.5) as u8
}

/// Whether the point, in units of the figure's radius, belongs to the figure of this class.
fn inside(class: u8, [x, y]: [f32; 2]) -> bool {
    let square = x * x + y * y;
    let reach = x.abs().max(y.abs());
    match class {
        0 => square < 0.64,
        1 => square < 0.81 && square > 0.25,
        2 => reach < 0.7,
        3 => reach < 0.7 && reach > 0.4,
        4 => triangle(x, y),
        5 => x.abs().min(y.abs()) < 0.28 && reach < 0.95,
        6 => star(x, y),
        7 => square < 0.81 && (x - 0.4) * (x - 0.4) + y * y > 0.49,
        8 => (x.abs() - 0.52) * (x.abs() - 0.52) + y * y < 0.2,
        _ => x.abs() < 0.68 && (y.abs() < 0.15 || (y.abs() > 0.42 && y.abs() < 0.72)),
    }
}

/// The equilateral triangle in the unit circle: three half-planes at distance 1/2.
fn triangle(x: f32, y: f32) -> bool {
    const SQRT_3: f32 = 1.732_050_8;
    y > -0.5 && SQRT_3 * x + y < 1.0 && y - SQRT_3 * x < 1.0
}

/// The five-pointed star in the unit circle: at least four of five half-planes hold.
fn star(x: f32, y: f32) -> bool {
    /// Cosine and sine of 90 + 72 k degrees.
    const NORMALS: [[f32; 2]; 5] = [
        [0.0, 1.0],
        [-0.951_056_5, 0.309_017],
        [-0.587_785_25, -0.809_017],
        [0.587_785_25, -0.809_017],
        [0.951_056_5, 0.309_017],
    ];
    NORMALS.iter().filter(|normal| normal[0] * x + normal[1] * y < 0.309_017).count() >= 4
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_images_of_seed_zero_are_the_same_bytes_everywhere() {
        let pixels = generate(0, 200, 56);
        let hex: String = Sha256::digest(&pixels.images).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "e6df3e9ceca9d29c77c7db04165aee0b476f948906a2ecbefb82f9b6d0b5354f");
    }

    #[test]
    fn an_image_depends_on_seed_part_and_number_alone() {
        let (few, many) = (generate(4, 10, 5), generate(4, 20, 10));
        let image = 3 * 32 * 32;
        assert_eq!(few.images[..10 * image], many.images[..10 * image]);
        assert_eq!(few.images[10 * image..], many.images[20 * image..25 * image]);
        assert_eq!(few.labels[10..], many.labels[20..25]);
        assert_ne!(many.images[..10 * image], many.images[20 * image..]);
        assert_ne!(few.images, generate(5, 10, 0).images);
    }

    #[test]
    fn classes_take_turns() {
        let pixels = generate(0, 20, 10);
        assert_eq!(pixels.labels, (0..10).cycle().take(30).collect::<Vec<u8>>());
        assert_eq!((pixels.training, pixels.classes), (20, 10));
    }

    #[test]
    fn every_figure_fits_into_its_circle_and_covers_a_fair_share_of_it() {
        for class in 0..10 {
            let grid = || (-60..60).flat_map(|x| (-60..60).map(move |y| [x as f32 / 50.0, y as f32 / 50.0]));
            let area = grid().filter(|&point| inside(class, point)).count() as f32 / 2500.0;
            let outside = grid().filter(|&[x, y]| x * x + y * y > 1.0 && inside(class, [x, y])).count();
            assert_eq!(outside, 0, "{}", CLASSES[usize::from(class)]);
            assert!((0.7..2.1).contains(&area), "{} {area}", CLASSES[usize::from(class)]);
        }
    }
}
