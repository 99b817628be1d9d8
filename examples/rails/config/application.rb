require_relative "boot"

require "rails"
require "action_controller/railtie"
require "active_record/railtie"

Bundler.require(*Rails.groups)

module Store
  class Application < Rails::Application
    config.load_defaults 6.1
    config.api_only = true
  end
end
