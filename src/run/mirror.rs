//! From the `[mirror]` of a setup to the feed that follows.

use crate::feeds::master::{BadAddress, Pace, Plan};
use crate::setup::Setup;

/// Whom to follow, if anybody.
///
/// # Errors
/// When the address cannot be asked.
pub(crate) fn plan(setup: &Setup) -> Result<Option<Plan>, BadAddress> {
    let Some(mirror) = &setup.mirror else { return Ok(None) };
    let pace = Pace { least: mirror.retry, most: mirror.retry_most };
    let (master, source) = (mirror.master.as_str(), mirror.source.clone());
    let plan = Plan::new(master, mirror.ca.as_deref(), source, mirror.timeout, pace, mirror.stale)?;
    if !setup.history.enabled {
        return Ok(Some(plan));
    }
    let mut path = setup.history.db.clone().into_os_string();
    path.push(".master");
    Ok(Some(plan.kept_at(path.into())))
}

/// With what pushes are refused, where they are.
pub(super) fn refusal(setup: &Setup) -> Option<String> {
    let mirror = setup.mirror.as_ref().filter(|mirror| !mirror.takes_pushes)?;
    Some(format!("this is a mirror of {}, and takes no pushes of its own; push there", mirror.address()))
}
