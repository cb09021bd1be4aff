# The first process of a host; $1 is the address of its resolver.
# With cgroup v1 a container gets its controllers read-only, one mount each; systemd needs them writable.
for mount in /sys /sys/fs/cgroup /sys/fs/cgroup/*; do
  mount -o remount,bind,rw "$mount" 2>/dev/null || true
done
# Docker mounts these three anew at each start. On a real host they are files, which can be replaced.
umount /etc/resolv.conf /etc/hosts /etc/hostname
if ! grep -qs '^127.0.1.1' /etc/hosts; then
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$HOSTNAME" >/etc/hosts
  echo "$HOSTNAME" >/etc/hostname
  echo "nameserver $1" >/etc/resolv.conf
fi
exec /sbin/init
