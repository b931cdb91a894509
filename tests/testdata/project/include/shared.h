#pragma once

#define LIMIT 7
