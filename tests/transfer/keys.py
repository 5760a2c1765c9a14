"""Public SSH keys that `ssh-keygen` has made, and what `ssh-keygen -l` shows of them."""

# ruff: noqa: E501 - a key is one line

ED25519 = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG8xHzP/+rIzvzlnV2p1SVIMqkhMkFBRvwm6tBWR1xjl ann@laptop"
)
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDOl26b9wXuiR6MwxabkNsQd9r3CURtI7UYRaoFTzvlrJvDuf4tYjUTFy+Ojmz7nyoPM5uUzb6rtl9329CpVGAshbkr6NtS9WVRDF7IPiKr6b0HGtE1qijnmCW4wSd4yVDUWJOrovSGRSwf2AoYLuswpBvJpMZvR8dBNrpfCyNTPRrYhftUN7MjWRlkhOX+3wnuaDqNCOHYW4fld0EEQQaCWzQ33L0FFYpql1KPxbUkv7MSXGBInnC7/x0LMkZ6HF+idrE8vx9mgnCqA2OSb7GuUeFwdth0t/K/2SGO2oiW8c/CDnqhE4PMOhUqZOYH+7udL1uJFV+NnQctdVI8P9EX ann@laptop"
P256 = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBuwcng56LJUvUdlZA/f9GeEPrG2I7rmfPMWSJrBOFSLLeALpLMxDF7JsCHlV+5cJ5ynsWPqFnKC/krr0fjQsqY= ann@laptop"
P384 = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBBwnhKFeknt8W2BdTJ8zvmPjWFqEaql9GcumFLT1X+YOj6PS9Aqti9iNQ2iHSXfWgKaaIXyzh1qwcazZ19VyzkslLyUTOue19ve6Unlb2xLee7d9ygon9zYowLREdnKA9w== ann@laptop"
P521 = "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBADhfi6VCllECU/GxQb1EAsmp14AXrk+t0Az5YIZtzAYfwzL8ZuNTq21fp82JmjloeMvO8JSgoR8fgC3tbDoyPcTowGwWcuvmMC7fh0mWAAZ0WyeYUtHEUrWu79SdhmCtbX3P5RCxyFi9MFQA93KFpXmHrk6+jWyBt/fEVC4DSQOYT6REw== ann@laptop"
SK_ED25519 = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIG8xHzP/+rIzvzlnV2p1SVIMqkhMkFBRvwm6tBWR1xjlAAAABHNzaDo= ann@laptop"
SK_P256 = "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBBuwcng56LJUvUdlZA/f9GeEPrG2I7rmfPMWSJrBOFSLLeALpLMxDF7JsCHlV+5cJ5ynsWPqFnKC/krr0fjQsqYAAAAEc3NoOg== ann@laptop"
SHORT_RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDVTU6OPO3vbN9bIH45zcyKTpfyGBLiKcPaJGDtJcabZ81We+K4WNRl0f1nRI6cTnhQgV3U2uzMni4jpnx6k5b4uGPW/3l1FJH4Q/l5KFirSESdMTFgoV4qIvZPinQyRsr+OuO6sFlnijDFx0WVOX7zY1xbvMR8JrsGeEQLglSruQ== ann@laptop"

FINGERPRINTS = {
    ED25519: "SHA256:Ef0ojZuuzAQedeg/efjdCfvE+n9zoJVCbwHnSqsyM4A",
    RSA: "SHA256:djEMegWu5/2xiPfJ7G7SkxWigRcast/kGYCqwQlrT5I",
    P256: "SHA256:ZsLjyUXs23Ej91XCN5ddwyuxLjvQGFYMTPLemege1mE",
    P384: "SHA256:IBnbpyluLZpx9Muj98qDoCFp4cSsjjJxb7aQx0QcAnI",
    P521: "SHA256:5io0dE5B2hwNZemMePUBCZLqkNnyP/I+OQWr9qyugRg",
    SK_ED25519: "SHA256:jL8qAA1TQtd04usAAm2Yax5M6RfJGfZogo2Uxrc5sFA",
    SK_P256: "SHA256:MJ9i4Bc6aoPpBIUUrXi1vzij7EK8TiE33bGH8gd06sU",
}
"""All that are taken."""
