//! Lists the devices that a person trusts, and ends the trust.
//!
//! A person needs no code for either: the list tells them nothing new, and ending trust only takes something away.

use twofa_core::Timestamp;
use twofa_proto::{DeviceReport, Done, Failure};
use twofa_store::TrustedDevice;

use crate::context::Context;
use crate::identity::person::Person;
use crate::requests::error::RequestError;
use crate::text::messages::commands;

/// The devices that stand in for a code of the person now.
pub(super) fn list(context: Context<'_>) -> Result<Done, RequestError> {
    let (store, account, now) = (context.store(), context.account, context.now());
    let mut reports = Vec::new();
    store.devices(Some(account), now, |device| {
        reports.extend(report(&device, context.person, now));
        true
    })?;
    Ok(Done::Devices(reports))
}

/// Ends the trust in the device `id`, or in all of them.
pub(super) fn revoke(context: Context<'_>, id: Option<i64>) -> Result<Done, RequestError> {
    let Context {
        account, origin, ..
    } = context;
    let (store, now) = (context.store(), context.now());
    let Some(id) = id else {
        let count = store.revoke_all_devices(Some(account), origin, now)?;
        return Ok(Done::Revoked { count });
    };
    if store.revoke_device(account, id, origin, now)? {
        return Ok(Done::Revoked { count: 1 });
    }
    let message = commands::no_device(id, &account.name);
    Err(RequestError::new(Failure::NotFound, message).hinted(commands::DEVICE_LIST))
}

/// The report of a device; `None`: the present policy does not trust it.
fn report(device: &TrustedDevice, person: &Person, now: Timestamp) -> Option<DeviceReport> {
    let until = device.grant.end(person.trust_duration(device.kind));
    (now < until).then(|| device_report(device, until))
}

/// The report of a device whose trust ends at `until`, for the protocol.
pub fn device_report(device: &TrustedDevice, until: Timestamp) -> DeviceReport {
    DeviceReport {
        id: device.id,
        kind: device.kind.name().to_owned(),
        label: device.label.clone(),
        host: device.host.clone(),
        service: device.service.clone(),
        since: device.grant.granted_at.unix(),
        used_at: device.grant.used_at.unix(),
        until: until.unix(),
        users: device.users,
    }
}
