//! What a classic group has to say about the offsets that are kept for it.

use super::group::ClassicGroup;
use crate::command::{CommitOffsets, CommitTransactionalOffsets};
use crate::error::GroupError;
use crate::offsets::ExpiryRule;
use crate::reply::GroupState;
use crate::turn::Turn;

impl ClassicGroup {
    /// Whether offsets may be committed (`ClassicGroup.validateOffsetCommit`). A member's commit is a sign of life.
    pub fn accept_commit(
        &mut self,
        turn: &mut Turn<'_>,
        request: &CommitOffsets,
    ) -> Result<(), GroupError> {
        self.check_commit(request)?;
        if matches!(
            self.state,
            GroupState::Stable | GroupState::PreparingRebalance
        ) {
            self.renew_session(turn, &request.member_id);
        }
        Ok(())
    }

    fn check_commit(&self, request: &CommitOffsets) -> Result<(), GroupError> {
        // No generation: an administrator, or a consumer that assigns partitions to itself. Welcome while
        // there is no one whose offsets this could be.
        if request.generation < 0 && self.is_empty() {
            return Ok(());
        }
        let names_no_member =
            request.generation < 0 && request.member_id.is_empty() && request.instance_id.is_none();
        if names_no_member {
            return Err(GroupError::UnknownMember);
        }
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        // The member is ahead of its assignment; it will commit once it has one.
        if self.state == GroupState::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// Whether offsets may be committed in a transaction. The state of the group does not matter, and a caller that
    /// says nothing about itself, as those before version 3 of the request cannot, is welcome in every group. Such a
    /// commit is no sign of life.
    pub fn check_transactional_commit(
        &self,
        request: &CommitTransactionalOffsets,
    ) -> Result<(), GroupError> {
        if request.generation < 0 && self.is_empty() {
            return Ok(());
        }
        let names_no_member =
            request.generation < 0 && request.member_id.is_empty() && request.instance_id.is_none();
        if names_no_member {
            return Ok(());
        }
        self.check_member(&request.member_id, request.instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        Ok(())
    }

    /// Whether offsets may be deleted at all.
    pub fn check_offset_delete(&self) -> Result<(), GroupError> {
        if self.is_empty() || self.uses_consumer_protocol() {
            return Ok(());
        }
        Err(GroupError::NonEmptyGroup)
    }

    /// Whether the group may be deleted.
    pub fn check_delete(&self) -> Result<(), GroupError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(GroupError::NonEmptyGroup)
        }
    }

    /// When the group's offsets expire (`ClassicGroup.offsetExpirationCondition`).
    pub fn expiry_rule(&self) -> ExpiryRule {
        if self.protocol_type.is_none() {
            return ExpiryRule::SinceCommit;
        }
        match self.state {
            GroupState::Empty => match self.state_since {
                Some(since) => ExpiryRule::Since(since),
                None => ExpiryRule::SinceCommit,
            },
            // Offsets of topics that the group reads are kept all the same.
            GroupState::Stable if self.uses_consumer_protocol() && self.knows_subscriptions() => {
                ExpiryRule::SinceCommit
            }
            GroupState::PreparingRebalance
            | GroupState::CompletingRebalance
            | GroupState::Stable
            | GroupState::Dead => ExpiryRule::Never,
        }
    }
}
