Package: containerd.io
Version: @CONTAINERD@-1~debian.12~bookworm
Architecture: @ARCHITECTURE@
Section: admin
Priority: optional
Maintainer: SmarterOS lab <lab@localhost>
Depends: libc6 (>= 2.34), libseccomp2 (>= 2.5.0)
Provides: containerd, runc
Conflicts: containerd, runc
Replaces: containerd, runc
Description: An open and reliable container runtime
