// How spine.events lies in PostgreSQL's rows, for the tests of the reader of rows.
#pragma once

#include "core/stored_row.h"

inline constexpr spine::StoredAttribute events_attributes[spine::column_count] = {
    {16, 1, 0}, {-1, 4, 1}, {-1, 4, 2}, {-1, 4, 3}, {16, 1, 4},  {-1, 4, 5}, {16, 1, 6}, {4, 4, 7},   {16, 1, 8},
    {4, 4, 9},  {8, 8, 10}, {4, 4, 11}, {-1, 4, 12}, {8, 8, 13}, {8, 8, 14}, {-1, 4, 15}, {-1, 4, 16}, {-1, 4, 17},
    {-1, 4, 18}, {-1, 4, 19}, {-1, 4, 20}, {-1, 4, 21}, {-1, 4, 22}, {8, 8, 23}, {16, 1, 24}, {16, 1, 25}};
inline constexpr spine::RowShape events_shape{spine::column_count, events_attributes};

// The same among columns that others added, or dropped: of each alignment, fixed and varlena, before and behind.
inline constexpr spine::StoredAttribute crowded_attributes[] = {
    {1, 1, -1}, {-1, 4, -1}, {16, 1, 0}, {-1, 4, 1}, {2, 2, -1}, {-1, 4, 2}, {-1, 4, 3}, {16, 1, 4}, {-1, 8, -1}, {-1, 4, 5},
    {16, 1, 6}, {4, 4, 7}, {16, 1, 8}, {4, 4, 9}, {8, 8, 10}, {4, 4, 11}, {-1, 4, 12}, {8, 8, 13}, {8, 8, 14}, {-1, 4, 15},
    {-1, 4, 16}, {-1, 4, 17}, {4, 4, -1}, {-1, 4, 18}, {-1, 4, 19}, {-1, 4, 20}, {-1, 4, 21}, {-1, 4, 22}, {8, 8, 23}, {16, 1, 24},
    {16, 1, 25}, {8, 8, -1}, {-1, 1, -1}};
inline constexpr spine::RowShape crowded_shape{sizeof crowded_attributes / sizeof crowded_attributes[0], crowded_attributes};
