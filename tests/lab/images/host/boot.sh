# The first process of a host; $1 is the address of its resolver.
# With cgroup v1 a container gets its controllers read-only, one mount each; systemd needs them writable.
for mount in /sys /sys/fs/cgroup /sys/fs/cgroup/*; do
  mount -o remount,bind,rw "$mount" 2>/dev/null || true
done
# These are the machine's own settings, for all its programs; those of the network belong to each host.
for folder in kernel vm fs dev; do
  mount --bind "/proc/sys/$folder" "/proc/sys/$folder" && mount -o remount,bind,ro "/proc/sys/$folder"
done
# Docker mounts these three anew at each start. On a real host they are files, which can be replaced.
umount /etc/resolv.conf /etc/hosts /etc/hostname
if ! grep -qs '^127.0.1.1' /etc/hosts; then
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$HOSTNAME" >/etc/hosts
  echo "$HOSTNAME" >/etc/hostname
  echo "nameserver $1" >/etc/resolv.conf
fi
# As every VPS has it: Docker publishes over IPv6 only where there is some. 10.213.7.11 has fd10:213:7::11, too.
for device in all default lo eth0; do
  echo 0 >"/proc/sys/net/ipv6/conf/$device/disable_ipv6"
done
ip -6 addr add "$(hostname -I | sed 's/^\([0-9]*\)\.\([0-9]*\)\.\([0-9]*\)\.\([0-9]*\) .*/fd\1:\2:\3::\4/')/64" dev eth0 nodad
# As on a real host, where systemd itself does it: it hands credentials to units through such a mount.
mount --make-rshared /
exec /sbin/init
