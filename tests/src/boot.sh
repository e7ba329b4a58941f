# Boots the host's own system, changes kept apart in memory, with systemd as its process 1. Run as the first process of its own
# mount and PID namespaces, so that nothing outlives it; ends when the system is switched off.
#
#   $1    an empty folder
#   then  any number of
#         MODE FROM TO   a file of the host

set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
umask 022

folder=$1
shift
mount -t tmpfs -o mode=0755 twofa-boot "$folder"
mkdir "$folder/changes" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/changes,workdir=$folder/work" overlay "$folder/root"
# Without this systemd-nspawn takes the folder for one that it has to remove.
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
cd "$folder/root"

# None of the host's services but sshd, none of its disks, messages or users' homes.
for wants in multi-user sockets timers graphical sysinit local-fs; do
    rm -rf "etc/systemd/system/$wants.target.wants"
done
mkdir -p etc/systemd/system/multi-user.target.wants
ln -s /lib/systemd/system/ssh.service etc/systemd/system/multi-user.target.wants/ssh.service
ln -sf /lib/systemd/system/multi-user.target etc/systemd/system/default.target
rm -rf etc/update-motd.d etc/machine-id var/lib/dbus/machine-id
systemd-id128 new >etc/machine-id
: >etc/fstab
echo vm >etc/hostname
printf '127.0.0.1 localhost vm\n::1 localhost\n' >etc/hosts
ls etc/ssh/ssh_host_*_key >/dev/null 2>&1 || ssh-keygen -A -f .

while [ $# -gt 0 ]; do
    install -D -o root -g root -m "$1" "$2" ".$3"
    shift 3
done

# systemd-nspawn ends with 133 when its system is restarted.
status=133
while [ $status = 133 ]; do
    status=0
    systemd-nspawn --quiet --register=no --keep-unit --boot --directory=. --machine=vm --private-network \
        --console=pipe || status=$?
done
exit $status
