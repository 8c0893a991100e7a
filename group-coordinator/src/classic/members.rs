//! The members of a group, by id and by age.

use std::collections::BTreeMap;

use super::member::Member;

/// Members in the order in which they came. A static member that comes back under a new id keeps its place.
#[derive(Debug, Clone, Default)]
pub struct Members {
    by_age: BTreeMap<u64, Member>,
    ages: BTreeMap<String, u64>,
    /// Instance id to member id.
    instances: BTreeMap<String, String>,
    /// How many members wait for the answer to a join.
    joining_count: usize,
    next_age: u64,
}

impl Members {
    pub fn len(&self) -> usize {
        self.by_age.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }

    pub fn contains(&self, member_id: &str) -> bool {
        self.ages.contains_key(member_id)
    }

    pub fn member(&self, member_id: &str) -> Option<&Member> {
        self.by_age.get(self.ages.get(member_id)?)
    }

    /// The member of this instance.
    pub fn instance(&self, instance_id: &str) -> Option<&str> {
        self.instances.get(instance_id).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_age.values()
    }

    pub fn ids(&self) -> Vec<String> {
        self.iter().map(|member| member.member_id.clone()).collect()
    }

    pub fn joining_count(&self) -> usize {
        self.joining_count
    }

    /// The largest rebalance timeout of any member.
    pub fn rebalance_timeout_ms(&self) -> i32 {
        self.iter()
            .map(|member| member.rebalance_timeout_ms)
            .max()
            .unwrap_or(0)
            .max(0)
    }

    /// Adds the youngest member. Neither its id nor its instance id may be taken.
    pub fn insert(&mut self, member: Member) {
        assert!(!self.ages.contains_key(&member.member_id));
        if let Some(instance_id) = &member.instance_id {
            let replaced = self
                .instances
                .insert(instance_id.clone(), member.member_id.clone());
            assert!(replaced.is_none());
        }
        self.joining_count += usize::from(member.join.is_some());
        self.ages.insert(member.member_id.clone(), self.next_age);
        self.by_age.insert(self.next_age, member);
        self.next_age += 1;
    }

    pub fn remove(&mut self, member_id: &str) -> Option<Member> {
        let age = self.ages.remove(member_id)?;
        let member = self.by_age.remove(&age).expect("every id has a member");
        self.joining_count -= usize::from(member.join.is_some());
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        Some(member)
    }

    /// Gives a static member a new id; it keeps its age.
    pub fn rename(&mut self, old_id: &str, new_id: &str) {
        assert!(!self.ages.contains_key(new_id));
        let age = self
            .ages
            .remove(old_id)
            .expect("only a member can be renamed");
        self.ages.insert(new_id.to_owned(), age);
        let member = self.by_age.get_mut(&age).expect("every id has a member");
        member.member_id = new_id.to_owned();
        if let Some(instance_id) = &member.instance_id {
            self.instances
                .insert(instance_id.clone(), new_id.to_owned());
        }
    }

    /// Changes a member in place. Its id and its instance id must stay.
    pub fn update<T>(&mut self, member_id: &str, change: impl FnOnce(&mut Member) -> T) -> T {
        let age = self
            .ages
            .get(member_id)
            .expect("only a member can be updated");
        let member = self.by_age.get_mut(age).expect("every id has a member");
        let joined_before = usize::from(member.join.is_some());
        let result = change(member);
        self.joining_count += usize::from(member.join.is_some());
        self.joining_count -= joined_before;
        result
    }
}
