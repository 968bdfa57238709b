// A checkpoint with the signatures of a log and two witnesses; another program (OpenSSL by way of Node.js) signed it.
#pragma once

#include <string>

namespace example {

inline const std::string log_key = "spine.example/directory+355a44a2+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
inline const std::string log_signer =
    "PRIVATE+KEY+spine.example/directory+355a44a2+AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
inline const std::string witness_key = "witness.example/w1+fea3b187+BBOY9ixtGkV8UbpqS189vS9p/KkyFiGNyJl+QWvRfZPK";
inline const std::string witness_signer =
    "PRIVATE+KEY+witness.example/w1+fea3b187+BAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
inline const std::string other_witness_key = "zeugin.example/ö+6c20bce7+BP0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY";

inline const std::string text =
    "spine.example/directory\n"
    "1000\n"
    "Fk9suR90+e8OsPCPnDdZhM+Svj4mjmwHTVw4zwwXY3g=\n";
inline const std::string log_line =
    "— spine.example/directory NVpEov59H59HcPTTmmfcdPrETIKN0X4d6ldKldkZPMYnDEva2YuHgRgSwDkn7nmrELsCmQArgfCDe76q0rSx"
    "0liRZwo=\n";
inline const std::string witness_line =
    "— witness.example/w1 /qOxhwAAAABpxcHSGsz+cokMRr8QqEoQsGhb4hqjq0+htefdwgngdnVscxpQAzrwfPJ6DhSDg8DZk5hxp7GIUanV"
    "r101hMGsLZKRAg==\n";
inline const std::string other_witness_line =
    "— zeugin.example/ö bCC85wAAAABpxcHS7UXTmDrPH/yg3I7OenajnbTuNRDU5wXW6mL16/ojJ4h4DVOl+u3MBAFDQ+HpkaGAVK6FPbBzg1KI"
    "dIM1nyB+BQ==\n";
inline constexpr uint64_t cosigned_at = 1774567890;

inline const std::string note = text + "\n" + log_line + witness_line + other_witness_line;

}  // namespace example
