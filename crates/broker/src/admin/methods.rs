//! Methods: which are allowed, and which providers send their codes.

use twofa_core::{Channel, Class, Method, Methods};
use twofa_delivery::Catalogue;
use twofa_store::Providers;

use super::checks::{self, Concern};
use super::{AdminError, Administration};

/// One method in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMethod {
    /// The method that this entry describes.
    pub method: Method,
    /// Whether the machine's policy allows it.
    pub allowed: bool,
    /// The classes that allow it.
    pub allowed_by: Vec<String>,
    /// How many classes there are.
    pub classes: usize,
    /// The providers of its codes in the order in which they are tried; `None`: its codes are not sent.
    pub providers: Option<Vec<String>>,
    /// Whether any of these providers can be used, where its codes are sent.
    pub is_carried: bool,
}

/// An order of providers that has not been set yet.
#[derive(Debug)]
pub struct OrderPlan {
    /// What could lock people out, and did not before.
    pub concerns: Vec<Concern>,
    channel: Channel,
    names: Vec<String>,
}

impl Administration {
    /// All methods, with the classes that allow them and the providers of their codes.
    pub fn methods(&self) -> Result<Vec<ListedMethod>, AdminError> {
        let rulebook = self.rulebook()?;
        let providers = self.store().providers()?;
        let carried = checks::carried(&providers);
        let machine = rulebook.machine();
        let allows = |class: &&Class, method| {
            let policy = class.policy(machine);
            policy.is_ok_and(|policy| policy.methods.contains(method))
        };
        let listed = Methods::ALL.iter().map(|method| ListedMethod {
            method,
            allowed: machine.methods.contains(method),
            allowed_by: rulebook
                .classes()
                .iter()
                .filter(|class| allows(class, method))
                .map(|class| class.name.clone())
                .collect(),
            classes: rulebook.classes().len(),
            providers: method
                .channel()
                .map(|channel| providers.order[channel].clone()),
            is_carried: carried.contains(method),
        });
        Ok(listed.collect())
    }

    /// Plans to send the codes of `channel` by the providers `names`, in this order.
    pub fn plan_order(&self, channel: Channel, names: &[String]) -> Result<OrderPlan, AdminError> {
        let before = self.store().providers()?;
        check_channel(&before, &super::providers::catalogue(), channel, names)?;
        let mut after = before.clone();
        after.order[channel] = names.to_vec();
        Ok(OrderPlan {
            concerns: checks::concerns_about_providers(self.store(), &before, &after)?,
            channel,
            names: names.to_vec(),
        })
    }

    /// Sets the order, and returns whether it was another before.
    pub fn set_order(&self, plan: &OrderPlan) -> Result<bool, AdminError> {
        let OrderPlan { channel, names, .. } = plan;
        Ok(self
            .store()
            .set_provider_order(*channel, names, &self.origin(), self.now())?)
    }
}

/// Fails where a provider of `names` sends by another channel. One that does not exist is the store's to refuse.
fn check_channel(
    providers: &Providers,
    catalogue: &Catalogue,
    channel: Channel,
    names: &[String],
) -> Result<(), AdminError> {
    for name in names {
        let record = providers.find(name);
        let kind = record.and_then(|record| catalogue.find(&record.kind));
        if let Some(kind) = kind.filter(|kind| kind.channel != channel) {
            return Err(AdminError::WrongChannel {
                provider: name.clone(),
                sends: kind.channel,
                wanted: channel,
            });
        }
    }
    Ok(())
}
