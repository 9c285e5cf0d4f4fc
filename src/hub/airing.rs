//! Memory that is free, and that the allocator is to give back to the system.
//!
//! mimalloc gives back what was freed when it is asked for or given a large piece some time later, and a daemon whose
//! crowd has left does neither (measured: of twenty thousand channels it kept 6 MiB for good). So it is asked for some.
//! With another allocator this does nothing, and costs microseconds.

use super::Hub;
use std::hint::black_box;
use std::time::Duration;

impl Hub {
    /// After the end of how many channels memory is given back.
    const CROWD: usize = 1_024;

    /// Counts channels that have ended. True when a crowd has since this was so last.
    pub(super) fn has_left(ended: &mut usize, more: usize) -> bool {
        *ended += more;
        let is_crowd = *ended >= Self::CROWD;
        if is_crowd {
            *ended = 0;
        }
        is_crowd
    }
}

/// Has what was freed lately given back.
pub(super) async fn air() {
    // Longer than the 10 ms for which mimalloc keeps what was freed or lies beside what was asked for.
    const KEPT: Duration = Duration::from_millis(50);
    // As long as what a crowd leaves behind is on its way to the disk.
    const PAUSE: Duration = Duration::from_secs(1);
    const ROUNDS: usize = 4;
    // Larger than what is kept for more of the same size, and of many sizes, so that they come from all over the memory
    // that is free. None is written to.
    const LARGE: [usize; 4] = [512 << 10, 1 << 20, 4 << 20, 12 << 20];
    const SMALL: [usize; 4] = [160 << 10; 4];
    for _ in 0..ROUNDS {
        tokio::time::sleep(PAUSE).await;
        let large = black_box(LARGE.map(Vec::<u8>::with_capacity));
        let small = black_box(SMALL.map(Vec::<u8>::with_capacity));
        tokio::time::sleep(KEPT).await;
        drop(large);
        tokio::time::sleep(KEPT).await;
        // With these goes where the large ones were.
        drop(small);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_left_once_when_so_many_have() {
        let mut ended = 0;
        let said: Vec<bool> =
            [Hub::CROWD - 1, 1, Hub::CROWD - 1, 0, 5].map(|more| Hub::has_left(&mut ended, more)).into();
        assert_eq!(said, [false, true, false, false, true]);
    }
}
