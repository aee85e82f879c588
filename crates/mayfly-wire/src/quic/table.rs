//! Which links there are.

use super::link::Link;
use crate::inbox::Inbox;
use crate::{CloseReason, Event};
use mayfly_base::NodeId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Links by the node on the other side, at most one started from each side. The one that is used comes first.
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<HashMap<NodeId, Vec<Arc<Link>>>>);

/// What came of adding a link.
pub(super) struct Added {
    /// Those to a former process of the node, and one that the same side had started before: it gave the link up.
    pub(super) replaced: Vec<Arc<Link>>,
    /// Two nodes called each other at once. Both know which link stays; this one goes, and closing it falls to us.
    pub(super) spare: Option<Arc<Link>>,
}

impl Table {
    /// Adds a link and announces its node if it is the first. When both sides started one, the lower id's is used from now on.
    pub(super) fn add(&self, link: &Arc<Link>, here: NodeId, inbox: &Inbox) -> Added {
        let mut table = self.lock();
        let links = table.entry(link.peer.id).or_default();
        if links.is_empty() {
            inbox.announce(Event::Up { peer: link.peer });
        }
        let is_over = |other: &Arc<Link>| other.process != link.process || other.started_here == link.started_here;
        let (replaced, mut kept): (Vec<_>, Vec<_>) = links.drain(..).partition(is_over);
        kept.push(link.clone());
        *links = kept;
        let ours_stays = here < link.peer.id;
        links.sort_by_key(|link| link.started_here != ours_stays);
        let spare = if ours_stays { links.get(1).cloned() } else { None };
        Added { replaced, spare }
    }

    /// Takes a link out; announces that its node is gone if it was the last.
    pub(super) fn remove(&self, link: &Arc<Link>, inbox: &Inbox) {
        let mut table = self.lock();
        let Some(links) = table.get_mut(&link.peer.id) else { return };
        let before = links.len();
        links.retain(|other| !Arc::ptr_eq(other, link));
        if links.is_empty() && before > 0 {
            table.remove(&link.peer.id);
            inbox.announce(Event::Down { id: link.peer.id, why: link.why() });
        }
    }

    /// The link to use.
    pub(super) fn get(&self, id: NodeId) -> Option<Arc<Link>> {
        self.lock().get(&id)?.iter().find(|link| link.is_open()).cloned()
    }

    pub(super) fn of(&self, id: NodeId) -> Vec<Arc<Link>> {
        self.lock().get(&id).cloned().unwrap_or_default()
    }

    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        self.lock().values().flatten().cloned().collect()
    }

    pub(super) fn primaries(&self) -> Vec<Arc<Link>> {
        self.lock().values().filter_map(|links| links.first()).cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<NodeId, Vec<Arc<Link>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Added {
    /// Closes what was replaced.
    pub(super) fn close_replaced(&self) {
        self.replaced.iter().for_each(|link| link.close(CloseReason::Replaced));
    }
}
