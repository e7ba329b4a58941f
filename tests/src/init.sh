# The first process of a machine: puts the file system together, reports, and lives until its standard input ends.
# That is where the shell reads these lines from, a pipe held by the test process alone, so the machine ends with it
# however it ends; and as this is process 1 of the machine's PID namespace, everything that runs in the machine ends
# with this process. Meanwhile the shell collects the processes whose parents have gone, as an init does.
#
# Everything is mounted below /sys, the one folder that exists everywhere and of which nothing is needed here: so no
# temporary folder is made on the host, and no path of the host is hidden before the artefacts are copied.
#
#   $1    folder on a real disk for what the machine writes, or empty for memory
#   then  any number of each, in this order
#         overlay DIR            a separate file system of the host that the machine is to see
#         tiny DIR SIZE          a small file system of its own at DIR
#         install MODE FROM TO   a file of the host

set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
umask 022

read -r pid _ </proc/self/stat
echo "pid $pid"

disk=$1
shift

mount -t tmpfs -o mode=0755 twofa-vm /sys
mkdir /sys/changes /sys/root
if [ -n "$disk" ]; then
    mount --bind "$disk" /sys/changes
fi

# Shows the host's folder $1 (with / at its end) in the machine, changes kept apart under the name $2.
overlay() {
    mkdir "/sys/changes/$2" "/sys/changes/$2.work"
    mount -t overlay -o "lowerdir=$1,upperdir=/sys/changes/$2,workdir=/sys/changes/$2.work" overlay "/sys/root$1"
}

overlay / root
number=0
while [ "${1-}" = overlay ]; do
    number=$((number + 1))
    overlay "$2" "$number"
    shift 2
done
cd /sys/root

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
for fresh in run tmp home var/log var/tmp; do
    mount -t tmpfs -o mode=0755 tmpfs $fresh
done
mount -t tmpfs -o mode=0700 tmpfs root
chmod 1777 tmp var/tmp
mkdir -p run/lock run/sshd
: >run/utmp
: >var/log/wtmp
: >var/log/lastlog
install -m 0600 /dev/null var/log/btmp

mount -t tmpfs -o mode=0755 tmpfs dev
mkdir -m 1777 dev/shm
mkdir dev/pts
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev
mount -t devpts -o newinstance,mode=0620,ptmxmode=0666,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr

# Messages of the day of the host are slow on some systems and are not the machine's.
rm -rf etc/update-motd.d
echo vm >etc/hostname
printf '127.0.0.1 localhost vm\n::1 localhost\n' >etc/hosts

while [ $# -gt 0 ]; do
    case $1 in
        tiny)
            mkdir -p ".$2"
            mount -t tmpfs -o "mode=0755,size=$3" tmpfs ".$2"
            shift 3
            ;;
        install)
            install -D -o root -g root -m "$2" "$3" ".$4"
            shift 4
            ;;
    esac
done

pivot_root . .
umount -l .
ip link set lo up
echo vm >/proc/sys/kernel/hostname

echo ready
