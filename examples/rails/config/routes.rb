Rails.application.routes.draw do
  root "products#index"
  get "up", to: "health#show"
end
