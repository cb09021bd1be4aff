"""SSH, with a drop-in that lets nobody in who is root."""

from tasks import ssh

_right = ssh.text
ssh.text = lambda *given: f"AllowUsers nobody\n{_right(*given)}"
ssh.run()
