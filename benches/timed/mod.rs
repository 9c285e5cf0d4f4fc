//! Takes the time of cases.

use crate::fixtures::cases;
use criterion::Criterion;
use std::time::{Duration, Instant};

/// Takes the time of each case of a ring, by operation.
pub(crate) fn measure(ring: &str) {
    // What goes before a run takes up to a hundred times as long as the run itself.
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    for case in cases().iter().filter(|case| case.name.split('/').next() == Some(ring)) {
        // Not made where the case is not wanted.
        let mut made = None;
        criterion.bench_function(case.name, |bencher| {
            let measured = made.get_or_insert_with(|| case.make());
            bencher.iter_custom(|wanted| {
                let operations = u64::from(measured.operations());
                let runs = wanted.div_ceil(operations);
                let mut spent = Duration::ZERO;
                for _ in 0..runs {
                    measured.prepare();
                    let begun = Instant::now();
                    measured.run();
                    spent += begun.elapsed();
                    measured.check();
                }
                spent.mul_f64(wanted as f64 / (runs * operations) as f64)
            });
        });
    }
    criterion.final_summary();
}
